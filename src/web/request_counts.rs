//! Counts the requests of each route, for Prometheus.

use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use crate::metrics::{Bounds, Counter, Exposition, Histogram, Kind};

/// The route of requests that match none.
const NO_ROUTE: &str = "none";
/// The methods that are told apart.
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "other"];
/// The statuses that are told apart. 0 stands for all others.
const STATUSES: [u16; 23] = [
    200, 204, 206, 303, 304, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 416, 422, 429,
    431, 500, 503, 0,
];
/// Pages take milliseconds, passwords tenths of a second, and waiting polls up to `--poll-wait`.
const BOUNDS: Bounds<12> = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (15_000_000, "15"),
    (30_000_000, "30"),
];

/// The requests of all routes.
pub struct RequestCounts {
    routes: HashMap<&'static str, RouteCounts>,
    no_route: RouteCounts,
}

/// The requests of one route, in the order of [`METHODS`].
#[derive(Default)]
struct RouteCounts([MethodCounts; METHODS.len()]);

/// The requests of one route and method.
struct MethodCounts {
    /// In the order of [`STATUSES`].
    statuses: [Counter; STATUSES.len()],
    durations: Histogram<{ BOUNDS.len() }>,
}

impl RequestCounts {
    /// Starts counting requests of these route patterns.
    #[must_use]
    pub fn new(patterns: impl Iterator<Item = &'static str>) -> Self {
        Self {
            routes: patterns
                .map(|pattern| (pattern, RouteCounts::default()))
                .collect(),
            no_route: RouteCounts::default(),
        }
    }

    /// Counts a request that matched `route` and was answered with `status` after `duration`.
    pub fn count(
        &self,
        route: Option<&str>,
        method: &Method,
        status: StatusCode,
        duration: Duration,
    ) {
        let route = route.and_then(|route| self.routes.get(route));
        let RouteCounts([get, head, post, other]) = route.unwrap_or(&self.no_route);
        let counts = match *method {
            Method::GET => get,
            Method::HEAD => head,
            Method::POST => post,
            _ => other,
        };
        counts.count(status.as_u16(), duration);
    }

    /// Writes the counts of all routes that were requested.
    pub fn write(&self, text: &mut Exposition) {
        let name = "mirage_http_requests_total";
        let help = "Requests answered, by route, method and status.";
        text.metric(name, Kind::Counter, help);
        for (route, method, counts) in self.requested() {
            for (status, counter) in STATUSES.iter().zip(&counts.statuses) {
                if counter.get() > 0 {
                    let status = match status {
                        0 => "other".to_owned(),
                        status => status.to_string(),
                    };
                    let labels = [("route", route), ("method", method), ("status", &status)];
                    text.sample(name, &labels, counter.get());
                }
            }
        }
        let name = "mirage_http_request_duration_seconds";
        let help =
            "Time from a request's head to its answer's, which includes the waiting of polls.";
        text.metric(name, Kind::Histogram, help);
        for (route, method, counts) in self.requested() {
            let labels = [("route", route), ("method", method)];
            counts.durations.write(text, name, labels);
        }
    }

    fn requested(&self) -> impl Iterator<Item = (&'static str, &'static str, &MethodCounts)> {
        let routes = self.routes.iter().map(|(route, counts)| (*route, counts));
        let mut routes: Vec<_> = routes.chain([(NO_ROUTE, &self.no_route)]).collect();
        routes.sort_unstable_by_key(|(route, _)| *route);
        routes.into_iter().flat_map(|(route, counts)| {
            let methods = METHODS.into_iter().zip(&counts.0);
            methods
                .filter(|(_, counts)| counts.durations.count() > 0)
                .map(move |(method, counts)| (route, method, counts))
        })
    }
}

impl Default for MethodCounts {
    fn default() -> Self {
        Self {
            statuses: std::array::from_fn(|_| Counter::default()),
            durations: Histogram::new(&BOUNDS),
        }
    }
}

impl MethodCounts {
    fn count(&self, status: u16, duration: Duration) {
        let statuses = STATUSES.iter().zip(&self.statuses);
        // The last one stands for all others.
        let listed = statuses.clone().find(|(listed, _)| **listed == status);
        if let Some((_, counter)) = listed.or_else(|| statuses.last()) {
            counter.increment();
        }
        self.durations.observe(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(counts: &RequestCounts) -> String {
        let mut text = Exposition::default();
        counts.write(&mut text);
        text.into_text()
    }

    #[test]
    fn requests_are_counted_by_route_method_and_status() {
        let counts = RequestCounts::new(["/rooms/{room}", "/login"].into_iter());
        let count = |route, method: &str, status| {
            let method = method.parse().unwrap();
            let status = StatusCode::from_u16(status).unwrap();
            counts.count(route, &method, status, Duration::from_millis(2));
        };
        count(Some("/rooms/{room}"), "GET", 200);
        count(Some("/rooms/{room}"), "GET", 200);
        count(Some("/rooms/{room}"), "HEAD", 404);
        count(None, "PROPFIND", 418);

        let text = written(&counts);

        for sample in [
            r#"requests_total{route="/rooms/{room}",method="GET",status="200"} 2"#,
            r#"requests_total{route="/rooms/{room}",method="HEAD",status="404"} 1"#,
            r#"requests_total{route="none",method="other",status="other"} 1"#,
            r#"seconds_count{route="/rooms/{room}",method="GET"} 2"#,
            r#"seconds_sum{route="/rooms/{room}",method="GET"} 0.004"#,
        ] {
            assert!(text.contains(&format!("{sample}\n")), "{sample} in\n{text}");
        }
        assert!(!text.contains("/login"), "{text}");
    }
}

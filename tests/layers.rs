//! The direction of imports: a module imports only from its own layer's folder and from the layers to its right,
//! and no modules import each other in a circle.
//!
//! It reads the sources, as an engineer would: every path that begins with `crate::` or `super::`, in a `use` or
//! elsewhere, outside comments, strings and test modules.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on says so by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from left to right. Layers of one row do not import each other.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["server"],
    &["web", "cli"],
    &["services"],
    &["core"],
    &["live"],
    &["database"],
    &["security"],
    &["clock", "config", "metrics", "urls"],
    &["domain"],
];

/// Tables name each other's relations.
const MAY_BE_CIRCULAR: &str = "database::entities::";

#[test]
fn imports_point_to_the_right() {
    let modules = Modules::read();
    let mut climbs = Vec::new();

    for (module, imports) in &modules.imports {
        for import in imports {
            let (from, to) = (layer(module), layer(import));
            let is_within = first(module) == first(import);
            if !is_within && from >= to {
                climbs.push(format!("{module} imports {import}"));
            }
        }
    }

    assert!(modules.imports.len() > 80, "the sources were not found");
    assert!(climbs.is_empty(), "{climbs:#?}");
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let modules = Modules::read();

    let circles: Vec<String> = modules
        .circles()
        .into_iter()
        .filter(|circle| !circle.iter().all(|name| name.starts_with(MAY_BE_CIRCULAR)))
        .map(|circle| circle.join(" -> "))
        .collect();

    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn every_module_is_in_a_layer() {
    let modules = Modules::read();

    let lost: Vec<&String> = modules
        .imports
        .keys()
        .filter(|module| !LAYERS.concat().contains(&first(module)))
        .collect();

    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn the_reader_of_imports_finds_them_wherever_they_stand() {
    let source = r#"
        //! [`crate::not::this`]
        use crate::a::{self, b::{C, d::E}, f as g};
        pub use super::h::I;
        fn j() { let _ = "crate::not::this"; crate::k::l::<crate::m::N>(); }
        #[cfg(test)]
        mod tests { use crate::not::this; }
    "#;

    let found = paths(source);

    let expected = [
        "crate::a",
        "crate::a::b::C",
        "crate::a::b::d::E",
        "crate::a::f",
        "crate::k::l",
        "crate::m::N",
        "super::h::I",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn a_circle_of_three_is_found() {
    let modules = Modules {
        imports: [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]
            .map(|(from, to)| (from.to_owned(), BTreeSet::from([to.to_owned()])))
            .into(),
    };

    assert_eq!(modules.circles(), [["a", "b", "c"]]);
}

/// The place of a module's layer, from the left.
fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&first(module)))
}

fn first(module: &str) -> &str {
    module.split("::").next().unwrap()
}

/// The modules of the program, by path below the crate, and the modules that each imports from.
struct Modules {
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl Modules {
    fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        find(&src, &mut files);
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        let mut only_for_tests = BTreeSet::new();
        for file in files {
            let source = fs::read_to_string(&file).unwrap();
            let module = name(&src, &file);
            for line in source.split("#[cfg(test)]").skip(1) {
                if let Some(rest) = line.trim_start().strip_prefix("mod ")
                    && let Some((child, _)) = rest.split_once(';')
                    && !child.contains('{')
                {
                    only_for_tests.insert(format!("{module}::{child}"));
                }
            }
            sources.insert(module, source);
        }
        sources.retain(|module, _| module != "lib" && !only_for_tests.contains(module));
        let imports = sources
            .iter()
            .map(|(module, source)| {
                let imported = paths(source)
                    .into_iter()
                    .filter_map(|path| module_of(&path, module, &sources))
                    .filter(|imported| imported != module)
                    .collect();
                (module.clone(), imported)
            })
            .collect();
        Self { imports }
    }

    /// The groups of modules that reach each other (Tarjan's strongly connected components, found by asking of
    /// each two whether one reaches the other and back).
    fn circles(&self) -> Vec<Vec<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> = self
            .imports
            .keys()
            .map(|module| (module.as_str(), self.reached_from(module)))
            .collect();
        let mut circles: Vec<Vec<&str>> = Vec::new();
        for (module, others) in &reached {
            if !others.contains(module) || circles.iter().any(|circle| circle.contains(module)) {
                continue;
            }
            let circle = others.iter().filter(|other| {
                reached
                    .get(*other)
                    .is_some_and(|back| back.contains(module))
            });
            circles.push(circle.copied().collect());
        }
        circles
    }

    fn reached_from<'a>(&'a self, module: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut ahead = vec![module];
        while let Some(module) = ahead.pop() {
            for next in self.imports.get(module).into_iter().flatten() {
                if reached.insert(next.as_str()) {
                    ahead.push(next);
                }
            }
        }
        reached
    }
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The path of the module in a file.
fn name(src: &Path, file: &Path) -> String {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
    match parts.as_slice() {
        [folder @ .., "mod"] => folder.join("::"),
        parts => parts.join("::"),
    }
}

/// The module that a path leads into: the longest beginning of it that is one.
fn module_of(path: &str, from: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split("::") {
        match part {
            "crate" => parts.clear(),
            "super" if parts.is_empty() => {
                parts = from.split("::").collect();
                parts.pop();
            }
            "super" => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    (1..=parts.len())
        .rev()
        .map(|length| parts[..length].join("::"))
        .find(|candidate| modules.contains_key(candidate))
}

/// Every path in a source that begins with `crate` or `super`.
fn paths(source: &str) -> BTreeSet<String> {
    let code = without_comments_and_strings(without_tests(source));
    let mut found = BTreeSet::new();
    for root in ["crate::", "super::"] {
        for (start, _) in code.match_indices(root) {
            let before = code[..start].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '$') {
                read_tree(&code[start..], "", &mut found);
            }
        }
    }
    found
}

/// Reads a path or a tree of paths, as `use` has them. Returns what follows.
fn read_tree<'a>(code: &'a str, prefix: &str, found: &mut BTreeSet<String>) -> &'a str {
    let code = code.trim_start();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = code.find(|c| !is_name(c)).unwrap_or(code.len());
    let (name, rest) = code.split_at(end);
    let path = match (prefix, name) {
        (prefix, "self") => prefix.to_owned(),
        ("", name) => name.to_owned(),
        (prefix, name) => format!("{prefix}::{name}"),
    };
    let Some(below) = rest.strip_prefix("::") else {
        found.insert(path);
        return rest;
    };
    let Some(mut inside) = below.trim_start().strip_prefix('{') else {
        if below.starts_with(is_name) {
            return read_tree(below, &path, found);
        }
        // Type parameters, or a star.
        found.insert(path);
        return below;
    };
    loop {
        inside = read_tree(inside, &path, found).trim_start();
        // A name that is changed.
        if let Some(renamed) = inside.strip_prefix("as ") {
            inside = renamed
                .trim_start()
                .trim_start_matches(is_name)
                .trim_start();
        }
        inside = match inside.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None => return inside.strip_prefix('}').unwrap_or(inside),
        };
        if let Some(rest) = inside.strip_prefix('}') {
            return rest;
        }
    }
}

/// The source up to its test module, which is the last thing in a file.
fn without_tests(source: &str) -> &str {
    source
        .find("#[cfg(test)]\nmod tests {")
        .or_else(|| source.find("#[cfg(test)]\n        mod tests {"))
        .map_or(source, |end| &source[..end])
}

fn without_comments_and_strings(source: &str) -> String {
    let mut code = String::new();
    for line in source.lines() {
        let line = line.split("//").next().unwrap();
        let outside = line.split('"').step_by(2);
        code.extend(outside.map(|part| format!("{part} ")));
        code.push('\n');
    }
    code
}

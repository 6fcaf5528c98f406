//! HTTP tests of the site: one file per page, and some files that cover all pages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot continue panics"
)]
#![expect(
    clippy::print_stdout,
    reason = "prints measurements for runs with --nocapture"
)]

mod keeper;
mod ports;
mod postgres;
mod processes;
mod redis_server;
mod support;

mod about;
mod access;
mod accessibility;
mod account;
mod account_delete;
mod account_ignored;
mod account_password;
mod account_reset;
mod account_sessions;
mod another_person;
mod asset;
mod backends;
mod backup;
mod check;
mod cross_site;
mod cut_links;
mod cut_off;
mod database_trouble;
mod delete_message;
mod errors;
mod expiry;
mod failover;
mod headers;
mod here_now;
mod home;
mod hostile_text;
mod invite;
mod invites;
mod join;
mod killed;
mod leave;
mod limits;
mod link_security;
mod links;
mod login;
mod logout;
mod made_public;
mod malformed;
mod managed;
mod members;
mod messages;
mod metrics;
mod moderation;
mod move_database;
mod my_rooms;
mod never_lost;
mod never_on_disk;
mod new_messages;
mod new_room;
mod notifications;
mod operators;
mod other_rooms;
mod poll;
mod private_join;
mod program;
mod public_rooms;
mod races;
mod racing_processes;
mod readme;
mod redis;
mod redis_clock;
mod redis_subscription;
mod register;
mod report_message;
mod reset;
mod restart;
mod room;
mod room_settings;
mod same_origin;
mod sent_twice;
mod sessions;
mod several_processes;
mod site;
mod site_act;
mod site_people;
mod site_person;
mod site_reports;
mod site_room;
mod site_rooms;
mod slow_clients;
mod sorting;
mod stopping;
mod terminal;
mod text_browser;
mod three_processes;
mod turns;
mod two_servers;
mod unfinished;
mod w3m;

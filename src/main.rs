//! `atlaskvd`, the daemon.

fn main() {}

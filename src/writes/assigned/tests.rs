//! Tests of `assigned`.

use super::*;
use crate::git::fixture;
use crate::ports::fixture::bundle;

#[test]
fn a_port_file_is_current_if_it_is_what_the_config_would_have_written() {
    let directory = tempfile::tempdir().unwrap();
    let worktree = fixture::linked(directory.path(), "a");
    let config = Config::parse(
        "{\"services\": {\"a\": 5000, \"b\": 6000}, \"urls\": {\"a_url\": \"http://localhost:{a}\"}}",
    );
    let config = config.unwrap();
    let both: &[(&str, u16)] = &[("a", 5100), ("b", 6100)];
    let url = Some("http://localhost:5100");
    let table = [
        (1, both, url, true),
        // Ports that are not those of its slot are its own all the same.
        (2, both, url, true),
        (1, &[("b", 6100), ("a", 5100)], url, false),
        (1, &[("a", 5100)], url, false),
        (1, &[("a", 5100), ("b", 6100), ("c", 7100)], url, false),
        (1, both, None, false),
        (1, both, Some("http://localhost:1"), false),
    ];
    for (slot, ports, url, expected) in table {
        let urls = url.map(|url| ("a_url".to_owned(), url.to_owned()));
        let own = Reservation {
            worktree: Some("a".to_owned()),
            bundle: bundle(slot, ports),
            urls: urls.into_iter().collect(),
        };
        let in_force = ConfigInForce::own(config.clone());
        let assigned = Assigned::new(&worktree, in_force, own.bundle.clone(), Some(&own));
        assert_eq!(assigned.matches(&own), expected, "{own:?}");
    }
}

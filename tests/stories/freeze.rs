//! All mirrors seem to die at once: more likely it is we who see nothing.

use crate::common::nodes::Does;
use crate::program::{Server, eventually};
use crate::world::{FRA, TYO, World};

#[test]
fn a_server_that_sees_everything_dead_goes_on_as_before() {
    let world = World::of(102, 3);
    let config = world.config("none = \"nodata\"");
    let config = config.replace("freeze = \"0s\"", "freeze = \"1m\"");
    let server = Server::start(&config);
    assert_eq!(server.given(FRA), world.ip(0));
    assert_eq!(server.run(&["status"]).code, 0);

    (0..3).for_each(|mirror| world.now(mirror, Does::Refuse));
    server
        .log
        .wait(&["ERROR", "IPv4 states are frozen", "3 of 3"]);
    eventually("all are measured to be down", || {
        let lines = server.json(&["health"]);
        let down = |line: &serde_json::Value| line["state"] == "down" && line["counts_as"] == "up";
        lines.as_array().unwrap().iter().all(down).then_some(())
    });
    assert_eq!(
        (server.given(FRA), server.given(TYO)),
        (world.ip(0), world.ip(2))
    );
    let status = server.run(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.out.contains("states frozen  IPv4"), "{status:?}");
    let status = server.json(&["status"]);
    assert_eq!(status["frozen"][0]["failed"], 3);
    assert_eq!(status["counters"]["freezes of states"], 1);

    world.now(1, Does::ok());
    server.log.wait(&["not frozen any more", "does not count"]);
    (0..3).for_each(|mirror| world.now(mirror, Does::ok()));
    let history = server.json(&["history"]);
    let of_all = history
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["node"] == "*");
    let changes: Vec<&str> = of_all.map(|e| e["to"].as_str().unwrap()).collect();
    assert_eq!(changes[..2], ["frozen", "measured"], "{history}");
}

//! `upgrade`: a new process of the program as it is on disk takes over, and no question is lost.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::running::Running;
use super::{Stop, print};
use crate::admin::Status;
use crate::clock::Clock;

/// Time between looks.
const AGAIN: Duration = Duration::from_millis(200);
/// A new process that does not answer in this time is not waited for.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug, Args)]
pub(super) struct Upgrade {}

impl Upgrade {
    pub(super) fn run(&self, config: Option<&Path>) -> Result<ExitCode, Stop> {
        let server = Running::of(config)?;
        let before: Status = server.ask("/v1/status")?;
        let _: Value = server.tell("/v1/upgrade", &json!({}))?;
        let clock = Clock::start();
        let until = clock.now() + PATIENCE;
        while clock.now() < until {
            // Between the two sockets nobody may answer for a moment.
            if let Ok(now) = server.ask::<Status>("/v1/status") {
                if now.pid != before.pid {
                    print(&format!(
                        "process {} ({}) answers in the place of process {} ({})\n",
                        now.pid, now.version, before.pid, before.version
                    ));
                    return Ok(ExitCode::SUCCESS);
                }
                if let Some(why) = now.upgrade_error {
                    return Err(Stop::no(format!(
                        "process {} goes on answering, no other has taken over: {why}",
                        before.pid
                    )));
                }
            }
            std::thread::sleep(AGAIN);
        }
        Err(Stop::no(format!(
            "no other process has taken over within {} s",
            PATIENCE.as_secs()
        )))
    }
}

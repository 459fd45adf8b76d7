//! The running server of a configuration, to be asked.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Stop, complain, config_path, verdict};
use crate::admin::{self, AskError};
use crate::config;
use crate::diagnostic::{Diagnostics, Sources};

/// Where it is asked: the files are read for that once, however often it is asked.
pub(super) struct Running {
    control: PathBuf,
}

impl Running {
    pub(super) fn of(config: Option<&Path>) -> Result<Self, Stop> {
        let path = config_path(config)?;
        let (mut sources, mut found) = (Sources::default(), Diagnostics::default());
        // A file that was broken after the server was started still says where its socket is.
        let control = config::read_control(&path, &mut sources, &mut found);
        let Some(control) = control else {
            complain(&sources, &found);
            return Err(Stop::configuration(verdict(&found)));
        };
        Ok(Self { control })
    }

    /// Asks it for a page.
    pub(super) fn ask<T: DeserializeOwned>(&self, page: &str) -> Result<T, Stop> {
        talk(admin::ask(&self.control, page))
    }

    /// Tells it to do something.
    pub(super) fn tell<T: DeserializeOwned>(
        &self,
        page: &str,
        body: &impl Serialize,
    ) -> Result<T, Stop> {
        talk(admin::tell(&self.control, page, body))
    }
}

fn talk<T>(talk: impl Future<Output = Result<T, AskError>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|e| Stop::no(e.to_string()))?;
    runtime.block_on(talk).map_err(|error| match error {
        AskError::Files(_) => Stop::configuration(error.to_string()),
        _ => Stop::no(error.to_string()),
    })
}

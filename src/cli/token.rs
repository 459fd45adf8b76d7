//! `token`: makes what somebody shows who asks the admin API over TCP.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Format, Stop, print, print_json};
use crate::admin::{NewToken, new_token};
use crate::config::Role;

#[derive(Debug, Args)]
pub(super) struct TokenVerb {
    /// Whose it is: what its owner does is logged under this name
    name: String,
    /// What it allows
    #[arg(long, value_enum, default_value_t = May::Reader)]
    role: May,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum May {
    /// Look
    Reader,
    /// Look and act
    Operator,
}

impl TokenVerb {
    pub(super) fn run(&self) -> Result<ExitCode, Stop> {
        if let Some(problem) = crate::config::name_problem(&self.name) {
            return Err(Stop {
                message: format!("a token's name {problem}"),
                code: 2,
            });
        }
        let role = match self.role {
            May::Reader => Role::Reader,
            May::Operator => Role::Operator,
        };
        let NewToken { token, hash } = new_token().map_err(Stop::no)?;
        let (name, role) = (&self.name, role.word());
        if self.format.json {
            print_json(&json!({ "name": name, "role": role, "token": token, "hash": hash }));
        } else {
            print(&format!(
                "The token, for its owner; it is shown this once:\n\n    {token}\n\n\
                 Put this into nearmost.toml; it holds from the next reload on:\n\n\
                 [[admin.token]]\nname = \"{name}\"\nrole = \"{role}\"\nhash = \"{hash}\"\n"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

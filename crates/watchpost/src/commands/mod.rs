//! One file a command.

pub(crate) mod alerts;
pub(crate) mod areas;
pub(crate) mod cameras;
pub(crate) mod check;
pub(crate) mod code;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod panic;
pub(crate) mod reload;
pub(crate) mod routes;
pub(crate) mod run;
pub(crate) mod silence;
pub(crate) mod simulate;
pub(crate) mod sink;
pub(crate) mod status;

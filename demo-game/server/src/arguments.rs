//! The command line, which both programs share.

use std::path::PathBuf;

use clap::Parser;

/// A server that is upgraded while it runs.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Arguments {
    /// The port on 127.0.0.1 to serve on; 0 takes any free one.
    #[arg(long, value_name = "N", default_value_t = 12345)]
    pub port: u16,

    /// The folder that holds the modules, the candidates and the admin socket.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    pub dir: PathBuf,
}

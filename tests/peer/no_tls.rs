//! In a build without TLS, or without the authority that the feature `broker` brings, no case has doors.

use crate::case::{Case, Certificate};
use ottla::net::dial::Stream;
use std::convert::Infallible;
use std::io;
use tokio::net::TcpStream;

pub const BUILT: bool = false;

#[derive(Clone)]
pub struct Doors(Infallible);

impl Doors {
    pub fn of(_: &Case, all: &Option<Doors>) -> Option<Doors> {
        all.clone()
    }

    pub fn settings(&self) -> Vec<(String, String)> {
        match self.0 {}
    }

    pub fn secrets(&self) -> Vec<String> {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "as the one that opens")]
    pub async fn open(&self, _: TcpStream, _: Certificate) -> io::Result<Box<dyn Stream>> {
        match self.0 {}
    }
}

pub fn doors() -> Option<Doors> {
    None
}

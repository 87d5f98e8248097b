//! The leanest HTTP/1.1 client that can be: one connection, requests that are bytes already, answers read up to their
//! end. What it costs is taken from the same cores as what it measures.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Larger answers than this are none of ours.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, read: Vec::with_capacity(4096) })
    }

    /// Sends one request and reads its whole answer; the status.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((status, bytes)) = head(&self.read)
                && self.read.len() >= bytes
            {
                return Ok(status);
            }
            if self.read.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("an answer without an end"));
            }
        }
    }
}

/// Status and length of the whole answer, once its head is there.
fn head(read: &[u8]) -> Option<(u16, usize)> {
    const END: &[u8] = b"\r\n\r\n";
    let end = read.windows(END.len()).position(|window| window == END)?;
    let text = std::str::from_utf8(&read[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + END.len() + length.unwrap_or(0)))
}

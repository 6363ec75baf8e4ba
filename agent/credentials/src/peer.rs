//! Who owns the other end of a loopback connection, or listens for one.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Why the owner of a connection is not known.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The kernel's table could not be read.
    #[error("reading {table}")]
    Table {
        /// Path of the table.
        table: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection is in no table: the peer closed it, or is in another network namespace.
    #[error("connection from {peer} is in no table")]
    Absent {
        /// The peer's address.
        peer: SocketAddr,
    },
}

/// Finds the uid that owns the client's end of a loopback connection: the socket bound to `peer` and connected to
/// `local`, our end.
///
/// Looks in `/proc/net/tcp` and `/proc/net/tcp6`: a JVM's sockets are IPv6 ones even when they carry IPv4. Blocking,
/// some milliseconds on a host with tens of thousands of connections.
pub(crate) fn owner(peer: SocketAddr, local: SocketAddr) -> Result<u32, PeerError> {
    for text in tables() {
        if let Some(uid) = find_owner(&text?, peer, local) {
            return Ok(uid);
        }
    }
    Err(PeerError::Absent { peer })
}

/// Whether `port` of loopback is listened on, and by nobody but processes of `uid`. Blocking like [`owner`].
///
/// # Errors
/// When the kernel's table cannot be read.
pub fn is_listened_on_by(port: u16, uid: u32) -> Result<bool, PeerError> {
    let mut is_listened_on = false;
    for text in tables() {
        for owner in listeners(&text?, port) {
            if owner != uid {
                return Ok(false);
            }
            is_listened_on = true;
        }
    }
    Ok(is_listened_on)
}

/// The kernel's tables, as far as it has them.
fn tables() -> impl Iterator<Item = Result<String, PeerError>> {
    ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|table| match std::fs::read_to_string(table) {
        Ok(text) => Some(Ok(text)),
        // No IPv6 in this kernel.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => Some(Err(PeerError::Table { table, source })),
    })
}

/// State column of a socket that listens.
const LISTENING: &str = "0A";

/// The uids that listen on `port`, at whatever address.
fn listeners(table: &str, port: u16) -> impl Iterator<Item = u32> {
    table.lines().skip(1).filter_map(move |line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (_, its_port) = parse_endpoint(columns.next()?)?;
        let state = columns.nth(1)?;
        let uid = columns.nth(3)?;
        (its_port == port && state == LISTENING).then(|| uid.parse().ok()).flatten()
    })
}

/// State column of an established connection. In any other state the kernel may report uid 0 for a socket that no
/// process owns any more.
const ESTABLISHED: &str = "01";

/// Finds the line whose local end is `peer` and whose remote end is `local`: the client's view of the connection.
fn find_owner(table: &str, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let its_local = parse_endpoint(columns.next()?)?;
        let its_remote = parse_endpoint(columns.next()?)?;
        let state = columns.next()?;
        let uid = columns.nth(3)?;
        (its_local == normal(peer) && its_remote == normal(local) && state == ESTABLISHED)
            .then(|| uid.parse().ok())
            .flatten()
    })
}

/// Parses `0100007F:1F90`: 32-bit words of the address in the host's byte order, then the port.
fn parse_endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = (0..address.len() / 8)
        .map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok())
        .collect::<Option<Vec<u32>>>()?;
    let ip = match words[..] {
        [word] => IpAddr::from(word.to_ne_bytes()),
        [_, _, _, _] => {
            let mut octets = [0; 16];
            for (chunk, word) in octets.chunks_exact_mut(4).zip(words) {
                chunk.copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::from(Ipv6Addr::from(octets)).to_canonical()
        }
        _ => return None,
    };
    Some((ip, port))
}

fn normal(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000 20001        0 3 1
   3: 0100007F:C351 0100007F:1F90 06 00000000:00000000 03:00000000 00000000     0        0 0 3
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:C352 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000 20002        0 9 1
";

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn the_client_end_of_an_established_connection_is_found() {
        let cases = [
            (TCP, 50000, Some(20001)),
            (TCP, 50001, None), // TIME_WAIT: nobody owns it
            (TCP, 50002, None),
            (TCP6, 50002, Some(20002)), // IPv4 carried by an IPv6 socket, as a JVM makes them
        ];
        for (table, port, owner) in cases {
            assert_eq!(find_owner(table, at(port), at(8080)), owner, "port {port}");
        }
    }

    #[test]
    fn only_sockets_that_listen_on_the_port_count_as_its_listeners() {
        assert_eq!(listeners(TCP, 8080).collect::<Vec<_>>(), [0]);
        assert_eq!(listeners(TCP, 50000).count(), 0);
        assert_eq!(listeners(TCP6, 8080).count(), 0);
    }

    #[test]
    fn a_real_port_belongs_to_whoever_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = rustix::process::getuid().as_raw();
        assert!(is_listened_on_by(port, own).unwrap());
        assert!(!is_listened_on_by(port, own + 1).unwrap());
        drop(listener);
        assert!(!is_listened_on_by(port, own).unwrap());
    }

    #[test]
    fn our_own_end_is_not_taken_for_the_peers() {
        assert_eq!(find_owner(TCP, at(50000), at(8081)), None);
    }

    #[test]
    fn a_real_connection_of_ours_is_owned_by_us() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (served, peer) = listener.accept().unwrap();
        let own = rustix::process::getuid().as_raw();
        assert_eq!(owner(peer, served.local_addr().unwrap()).unwrap(), own);
        drop(client);
    }
}

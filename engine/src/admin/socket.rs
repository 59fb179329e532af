//! The socket's file: nobody else's from its first moment, and never in the place of anything alive.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with};

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 64;

/// The file of a socket that listens. Dropping it removes the file, unless another has taken its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "can't remove the admin socket");
        }
    }
}

/// Listens on a fresh socket at `path`, of mode 0600. A socket that nobody listens on any more is replaced;
/// anything else there is left alone and an error.
pub(super) fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let (folder, name) = parts(path)?;
    // Two processes that start together must not both find the same old socket dead: the second would
    // remove what the first has just made. The lock ends with the file.
    let locked = File::open(&folder)?;
    locked.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => {
            let what = "another process holds a lock on the folder: try again, or choose another folder";
            io::Error::new(io::ErrorKind::WouldBlock, what)
        }
        TryLockError::Error(error) => error,
    })?;
    let address = SocketAddrUnix::new(path)?;
    remove_stale(path, &address)?;
    let socket = unix_socket()?;
    // Linux gives the file the mode of the socket's own inode. So this comes before `bind`, and there is no
    // moment in which others could connect.
    fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &address)?;
    // The folder's whole path: the process may go to another one before the file is removed.
    let path = folder.canonicalize()?.join(name);
    let file = SocketFile { identity: identity(&path)?, path };
    rustix::net::listen(&socket, BACKLOG)?;
    Ok((UnixListener::from(socket), file))
}

/// The folder of the socket and its name in it.
fn parts(path: &Path) -> io::Result<(PathBuf, &std::ffi::OsStr)> {
    let refuse = || io::Error::new(io::ErrorKind::InvalidInput, "the path doesn't name a file");
    let (folder, name) = path.parent().zip(path.file_name()).ok_or_else(refuse)?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    Ok((folder.to_owned(), name))
}

fn remove_stale(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            let what =
                "the path is taken by something that isn't a socket: remove it, or choose another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
        }
        Ok(_) => {}
    }
    match connect(unix_socket()?, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        // `AGAIN`: somebody listens, and has many clients waiting.
        Ok(()) | Err(Errno::AGAIN) => {
            let what = "somebody accepts connections there: stop that process, or choose another path";
            Err(io::Error::new(io::ErrorKind::AddrInUse, what))
        }
        Err(error) => Err(error.into()),
    }
}

/// It doesn't block, so that asking a process that hangs whether it is alive doesn't hang too.
fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

//! A few connections that only read, on blocking threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::{ANSWER_WAIT_MAX, Error};

/// Runs reads, as many at a time as it has connections; more wait their turn.
#[derive(Debug, Clone)]
pub struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Readers {
        let places = Arc::new(Semaphore::new(connections.len()));
        Readers { free: Arc::new(Mutex::new(connections)), places }
    }

    /// Runs `read` in one transaction, so that it sees one moment of the file. Once started it runs to its end even when
    /// the caller stops waiting.
    pub async fn read<T, E>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let deadline = Instant::now() + ANSWER_WAIT_MAX;
        let place = timeout_at(deadline, self.places.clone().acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Closed)?;
        let readers = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let result = readers.read_here(read);
            drop(place);
            result
        });
        timeout_at(deadline, reading).await.map_err(|_| Error::Busy)?.map_err(|_| Error::Closed)?
    }

    /// The same on this thread, for the start of a process, when there is always a connection free.
    pub fn read_at_start<T, E: From<Error>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let _place = self.places.try_acquire().map_err(|_| Error::Busy)?;
        self.read_here(read)
    }

    /// Called by whoever holds a place.
    fn read_here<T, E: From<Error>>(&self, read: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let mut connection = self.free().pop().expect("there are as many places as connections");
        let result = in_transaction(&mut connection, read);
        self.free().push(connection);
        result
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_transaction<T, E: From<Error>>(
    connection: &mut Connection,
    read: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.transaction().map_err(Error::from)?;
    read(&transaction)
}

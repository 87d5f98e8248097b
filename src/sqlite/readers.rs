//! A few connections that only read, on blocking threads.

use std::sync::{Arc, Mutex, PoisonError};

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
        let free = self.free.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut connection = take(&free);
            let result = in_transaction(&mut connection, read);
            give_back(&free, connection);
            drop(place);
            result
        });
        timeout_at(deadline, reading).await.map_err(|_| Error::Busy)?.map_err(|_| Error::Closed)?
    }
}

fn in_transaction<T, E: From<Error>>(
    connection: &mut Connection,
    read: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = connection.transaction().map_err(Error::from)?;
    read(&transaction)
}

fn take(free: &Mutex<Vec<Connection>>) -> Connection {
    let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
    free.pop().expect("there are as many places as connections")
}

fn give_back(free: &Mutex<Vec<Connection>>, connection: Connection) {
    free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
}

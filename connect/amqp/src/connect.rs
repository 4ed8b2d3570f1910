//! Opens one connection. It is used once: the library's own recovery gives up after some tries and cannot say which
//! messages it lost, so whoever uses a connection opens another when it is lost.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use acteon_connect_tls::TlsOptions;
use lapin::tcp::{AsyncTcpStream, RustlsConnector};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::time::timeout;

use crate::error::{AmqpConnectError, unconnected};
use crate::events;
use crate::link::AmqpLink;
use crate::options::{AmqpConnection, CheckedBroker, shown};
use crate::socket::{EndUnless, Socket};

impl AmqpConnection {
    /// Connects. `client` names the connection at the broker and in the log; `limit` applies to the whole; `channels` is
    /// the number of messages that may be unconfirmed at a time.
    ///
    /// # Errors
    /// If the broker does not accept the client. The message contains no credentials.
    pub async fn connect(
        &self,
        tls: &TlsOptions,
        client: &str,
        limit: Duration,
        channels: u16,
    ) -> Result<AmqpLink, AmqpConnectError> {
        let checked = self.checked(tls);
        let CheckedBroker { uri, tls } =
            checked.map_err(|error| AmqpConnectError::Refused(error.to_string()))?;
        let server = shown(&uri);
        let socket = Socket::default();
        let unfinished = EndUnless::new(socket.clone());
        let opening = open(client, uri, tls.map(Arc::new), limit, socket.clone());
        let Ok(opened) = timeout(limit, opening).await else {
            let message = format!("no answer within {limit:?}");
            return Err(AmqpConnectError::Unreachable(message));
        };
        let connection = opened.map_err(|error| unconnected(&error))?;
        unfinished.established();
        events::connected(client, &server);
        let names = [client.to_owned(), server];
        Ok(AmqpLink::new(connection, socket, names, channels))
    }
}

async fn open(
    client: &str,
    uri: AMQPUri,
    tls: Option<Arc<rustls::ClientConfig>>,
    limit: Duration,
    socket: Socket,
) -> lapin::Result<Connection> {
    let runtime = lapin::runtime::default_runtime()?;
    let properties = ConnectionProperties::default().with_connection_name(client.into());
    // The library calls the closure on its own thread, which no call can interrupt.
    Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let host = uri.authority.host;
            let addresses = runtime.to_socket_addrs((host.clone(), uri.authority.port));
            let connecting = AsyncTcpStream::connect(&runtime, addresses);
            let stream = timeout(limit, connecting).await;
            let stream = stream.map_err(|_| Error::from(ErrorKind::TimedOut))??;
            if let AsyncTcpStream::Plain(plain) = &stream {
                socket.keep(plain.get_ref())?;
            }
            Ok(match &tls {
                None => stream,
                Some(config) => {
                    let connector = RustlsConnector::from(config.clone());
                    stream.into_rustls(&connector, &host).await?
                }
            })
        },
        properties,
    )
    .await
}

//! What a host sets of the admin API over the network.

use super::Builder;
use crate::admin::{NetworkAdmin, NetworkServer};

impl Builder {
    /// Serves the admin API over the network too, with TLS, to whoever has a token. Nothing listens unless this is called.
    ///
    /// ```no_run
    /// # #[liveswap_state::interface]
    /// # pub trait Game {}
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use liveswap::NetworkAdmin;
    ///
    /// let engine = liveswap::Engine::builder()
    ///     .module::<dyn Game>("logic")
    ///     .admin_over_network(NetworkAdmin {
    ///         address: "0.0.0.0:7443".parse()?,
    ///         certificate: "tls/certificate.pem".into(),
    ///         key: "tls/key.pem".into(),
    ///         tokens: "tls/tokens".into(),
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn admin_over_network(self, settings: NetworkAdmin) -> Self {
        let NetworkAdmin { address, certificate, key, tokens } = settings;
        // They are read again later, and the process may go to another folder meanwhile. It fails for an empty path only,
        // which then can't be read.
        let absolute = |path| std::path::absolute(&path).unwrap_or(path);
        let (certificate, key, tokens) = (absolute(certificate), absolute(key), absolute(tokens));
        let settings = NetworkAdmin { address, certificate, key, tokens };
        self.trigger(move |core| Ok(Box::new(NetworkServer::start(settings, core.clone())?)))
    }
}

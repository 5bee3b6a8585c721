//! `wsinspect ca`: where the local certificate authority is, and how to trust it.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use crate::formats::tls::day;
use crate::net::LocalAuthority;

/// Prints it; the authority is made if there is none.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let authority = LocalAuthority::of_user()?;
    match io::stdout().write_all(text(&authority).as_bytes()) {
        // whoever reads our output has had enough
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => Ok(written.map(|()| ExitCode::SUCCESS)?),
    }
}

fn text(authority: &LocalAuthority) -> String {
    let (certificate, key) = (authority.certificate(), authority.key());
    let (certificate, key) = (certificate.display(), key.display());
    let (expires, fingerprint) = (day(authority.told().not_after), &authority.told().fingerprint);
    format!(
        "\
The local certificate authority makes the certificates that --tls answers with.
Whoever has its key can pass for any site to those who trust it: keep the key, and trust it only where you test.

  certificate   {certificate}
  key           {key}
  valid until   {expires} (UTC)
  SHA-256       {fingerprint}

To trust it:

  curl       curl --cacert '{certificate}' https://localhost:9443/
  Python     ssl.create_default_context(cafile='{certificate}')
             or for a whole program: SSL_CERT_FILE='{certificate}'
  Node       NODE_EXTRA_CA_CERTS='{certificate}' node client.js
             or in the program: new WebSocket(url, {{ ca: fs.readFileSync('{certificate}') }})
  Firefox    Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import: choose the file
             and tick \"Trust this CA to identify websites\"
  Chromium   certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n wsinspect -i '{certificate}'
             (certutil is in the package libnss3-tools; if the folder is missing: mkdir -p it, then certutil -N)
  wsinspect  --ca '{certificate}'

To be rid of it: certutil -d sql:$HOME/.pki/nssdb -D -n wsinspect, remove it in Firefox, and remove the folder of
the two files; the next --tls makes another one.
"
    )
}

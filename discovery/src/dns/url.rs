//! Where a list is, and whose.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use k256::ecdsa::VerifyingKey;
use thiserror::Error;

pub(super) const SCHEME: &str = "enrtree://";

/// Longest name below which hashes still fit a domain name: 253 characters less a label of 26 and its dot.
const MAX_DOMAIN_LEN: usize = 226;
const MAX_LABEL_LEN: usize = 63;

/// `enrtree://KEY@DOMAIN`: the public key that signs the list, compressed and in Base32, and its domain name.
///
/// ```
/// # use waku_discovery::dns::TreeUrl;
/// let text = "enrtree://AIRVQ5DDA4FFWLRBCHJWUWOO6X6S4ZTZ5B667LQ6AJU6PEYDLRD5O@sandbox.waku.nodes.status.im";
/// let url: TreeUrl = text.parse()?;
/// assert_eq!(url.domain(), "sandbox.waku.nodes.status.im");
/// assert_eq!(url.to_string(), text);
/// # Ok::<(), waku_discovery::dns::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeUrl {
    key: VerifyingKey,
    domain: String,
}

impl TreeUrl {
    /// A list at `domain` signed by `key`. The name is kept in lower case and without a dot at its end.
    ///
    /// # Errors
    /// When it is not a domain name.
    pub fn new(key: VerifyingKey, domain: &str) -> Result<Self, UrlError> {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        let is_name = domain.len() <= MAX_DOMAIN_LEN && domain.split('.').all(is_label);
        if !is_name {
            return Err(UrlError::Domain);
        }
        Ok(Self { key, domain: domain.to_ascii_lowercase() })
    }

    /// The key that signs the list.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The domain name of the list's root.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

fn is_label(label: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_LABEL_LEN).contains(&label.len()) && label.bytes().all(is_part)
}

impl FromStr for TreeUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix(SCHEME).ok_or(UrlError::Scheme)?;
        let (key, domain) = rest.split_once('@').ok_or(UrlError::NoKey)?;
        let key = BASE32_NOPAD.decode(key.as_bytes()).map_err(|_| UrlError::Key)?;
        let key = VerifyingKey::from_sec1_bytes(&key).map_err(|_| UrlError::Key)?;
        Self::new(key, domain)
    }
}

impl fmt::Display for TreeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.to_sec1_point(true);
        write!(f, "{SCHEME}{}@{}", BASE32_NOPAD.encode(key.as_bytes()), self.domain)
    }
}

impl fmt::Debug for TreeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeUrl({self})")
    }
}

/// Why a text is not the URL of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It does not begin with `enrtree://`.
    #[error("the URL of a list of nodes begins with `enrtree://`")]
    Scheme,
    /// Nothing is before an `@`.
    #[error("the list's public key is missing: write `enrtree://KEY@DOMAIN`")]
    NoKey,
    /// What is before the `@` is no compressed key of secp256k1 in Base32.
    #[error("what is before the `@` is not a public key in Base32")]
    Key,
    /// What is behind the `@` is no name, or longer than 226 characters.
    #[error("what is behind the `@` is not a domain name")]
    Domain,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AM5FCQLWIZX2QFPNJAP7VUERCCRNGRHWZG3YYHIUV7BVDQ5FDPRT2";

    #[test]
    fn a_key_is_written_compressed_and_in_base32() {
        // The key as EIP-1459 writes it out. The URL beside it there is another key's; this is go-ethereum's for it.
        let key = "049f88229042fef9200246f49f94d9b77c4e954721442714e85850cb6d9e5daf2d\
                   880ea0e53cb3ac1a75f9923c2726a4f941f7d326781baa6380754a360de5c2b6";
        let key = data_encoding::HEXLOWER.decode(key.as_bytes()).unwrap();
        let url = "enrtree://AKPYQIUQIL7PSIACI32J7FGZW56E5FKHEFCCOFHILBIMW3M6LWXS2@nodes.example.org";
        let parsed: TreeUrl = url.parse().unwrap();
        assert_eq!(parsed.key().to_sec1_point(false).as_bytes(), key);
        assert_eq!(parsed.to_string(), url);
    }

    #[test]
    fn one_domain_is_one_url_however_it_is_written() {
        let [plain, other] = ["nodes.example.org", "Nodes.Example.ORG."]
            .map(|domain| format!("enrtree://{KEY}@{domain}").parse::<TreeUrl>().unwrap());
        assert_eq!(plain, other);
        assert_eq!(other.to_string(), format!("enrtree://{KEY}@nodes.example.org"));
    }

    #[test]
    fn what_is_no_url_is_refused_with_what_is_wrong() {
        let long = format!("{KEY}@{}.org", "a".repeat(223));
        let cases = [
            ("https://example.org", UrlError::Scheme),
            ("enrtree://nodes.example.org", UrlError::NoKey),
            ("enrtree://@nodes.example.org", UrlError::Key),
            ("enrtree://AAAA@nodes.example.org", UrlError::Key),
            (&format!("enrtree://{}@nodes.example.org", KEY.to_lowercase()), UrlError::Key),
            (&format!("enrtree://{KEY}@"), UrlError::Domain),
            (&format!("enrtree://{KEY}@a..b"), UrlError::Domain),
            (&format!("enrtree://{KEY}@a b"), UrlError::Domain),
            (&format!("enrtree://{KEY}@a@b"), UrlError::Domain),
            (&format!("enrtree://{KEY}@nödes.org"), UrlError::Domain),
            (&format!("enrtree://{long}"), UrlError::Domain),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<TreeUrl>(), Err(error), "{text}");
        }
    }
}

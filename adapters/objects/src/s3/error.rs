//! What the S3 server says, told as the ports' errors. Its own words name addresses, keys and accounts: of them only
//! its code for the fault goes on.

use std::error::Error;
use std::fmt;

use gadwall_domain::ports::objects::{ContentError, ObjectError};
use gadwall_domain::ports::results::ResultError;
use object_store::client::{HttpError, HttpErrorKind};

/// Longest code that is taken for one.
const MAX_CODE: usize = 64;

/// Why the bucket can't be used.
#[derive(Debug)]
pub enum S3OpenError {
    /// The settings make no client.
    Settings,
    /// There is no such bucket.
    NoBucket {
        /// Its name.
        bucket: String,
    },
    /// The server doesn't take the keys, or doesn't let them do what is needed.
    Refused(Fault),
    /// Nothing answers, or nothing that is a storage in order.
    Unavailable(Fault),
    /// An object that was written was not read as it was.
    Forgetful,
}

impl fmt::Display for S3OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings => f.write_str(
                "the settings of the S3 storage fit no server: look at its endpoint (http:// needs allow_http), \
                 region and bucket",
            ),
            Self::NoBucket { bucket } => write!(f, "the S3 storage has no bucket {bucket}; make it first"),
            Self::Refused(_) => f.write_str(
                "the S3 storage refuses the access key or the secret key, or doesn't let them write, read, list and \
                 delete in the bucket",
            ),
            Self::Unavailable(_) => f.write_str("the S3 storage doesn't answer as it should; is the endpoint right?"),
            Self::Forgetful => f.write_str("the S3 storage doesn't give back what is written to it"),
        }
    }
}

impl Error for S3OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(fault) | Self::Unavailable(fault) => Some(fault),
            Self::Settings | Self::NoBucket { .. } | Self::Forgetful => None,
        }
    }
}

impl S3OpenError {
    pub(super) fn of(error: &object_store::Error, bucket: &str) -> Self {
        let fault = Fault::of(error);
        match &fault.kind {
            Kind::Refused => Self::Refused(fault),
            Kind::Absent => Self::NoBucket { bucket: bucket.to_owned() },
            _ => Self::Unavailable(fault),
        }
    }
}

/// What sort of fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Absent,
    Refused,
    Unreachable,
    TimedOut,
    Full,
    Broken,
    Other,
}

/// A fault of the S3 server, in words that are fit for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    status: Option<u16>,
    code: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Absent => "the S3 server has no such thing",
            Kind::Refused => "the S3 server refuses the keys",
            Kind::Unreachable => "the S3 server can't be reached, or broke the connection",
            Kind::TimedOut => "the S3 server took too long",
            Kind::Full => "the S3 server is full",
            Kind::Broken => "the S3 server has a fault",
            Kind::Other => "the S3 server doesn't do it",
        })?;
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, " ({status} {code})"),
            (Some(status), None) => write!(f, " ({status})"),
            (None, _) => Ok(()),
        }
    }
}

impl Error for Fault {}

/// The first of this type among an error and its causes.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        at = error.source();
    }
    None
}

/// What the server calls the fault.
fn code(text: &str) -> Option<String> {
    let code = text.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let plain = code.len() <= MAX_CODE && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| code.to_owned())
}

/// The status of its answer. The client has a type for it, but shows it to nobody.
fn status(text: &str) -> Option<u16> {
    text.split_once(" status code: ")?.1.get(..3)?.parse().ok()
}

impl Fault {
    pub(super) fn of(error: &object_store::Error) -> Self {
        use object_store::Error as Store;
        let text = error.to_string();
        let (status, code) = (status(&text), code(&text));
        let full = |code: &str| code.contains("StorageFull") || code == "QuotaExceeded";
        let kind = match (error, status, cause::<HttpError>(error).map(HttpError::kind)) {
            (_, Some(507), _) => Kind::Full,
            _ if code.as_deref().is_some_and(full) => Kind::Full,
            (Store::PermissionDenied { .. } | Store::Unauthenticated { .. }, ..) => Kind::Refused,
            (Store::NotFound { .. }, ..) => Kind::Absent,
            (_, _, Some(HttpErrorKind::Timeout)) => Kind::TimedOut,
            (_, _, Some(_)) => Kind::Unreachable,
            (_, Some(500..), _) => Kind::Broken,
            // A fault that came with a status of success.
            (_, None, _) if code.is_some() => Kind::Broken,
            _ => Kind::Other,
        };
        Self { kind, status, code }
    }
}

/// The only place where the server's errors get their meaning. Where something may be missing, ask [`if_there`] first.
pub(crate) fn failed(error: &object_store::Error) -> ObjectError {
    let fault = Fault::of(error);
    match fault.kind {
        Kind::Full => ObjectError::StorageFull(fault.into()),
        Kind::Other => ObjectError::Fault(fault.into()),
        // Absent: the bucket, since everything else that may be is asked for differently.
        _ => ObjectError::Unavailable(fault.into()),
    }
}

/// A fault while an object's bytes are read.
pub(crate) fn broke_off(error: &object_store::Error) -> ContentError {
    ContentError::Fault(Fault::of(error).into())
}

/// As [`failed`], of results.
pub(super) fn result_failed(error: &object_store::Error) -> ResultError {
    match failed(error) {
        ObjectError::StorageFull(_) => ResultError::StorageFull,
        ObjectError::Unavailable(fault) => ResultError::Unavailable(fault),
        other => ResultError::Fault(other.into()),
    }
}

/// `None` where nothing is there. A missing bucket is told by a code, where there is room for one.
pub(crate) fn if_there<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ object_store::Error::NotFound { .. }) => match Fault::of(&error).code.as_deref() {
            Some("NoSuchBucket") => Err(error),
            _ => Ok(None),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_servers_code_goes_on() {
        let body = "<Error><Code>AccessDenied</Code><Message>key AKIA at /bucket/secret</Message></Error>";
        assert_eq!(code(body).as_deref(), Some("AccessDenied"));
        for odd in ["", "<Code>", "<Code>a b</Code>", "<Code>/x</Code>", &format!("<Code>{}</Code>", "a".repeat(65))] {
            assert_eq!(code(odd), None, "{odd}");
        }
        let fault = Fault { kind: Kind::Refused, status: Some(403), code: code(body) };
        assert_eq!(fault.to_string(), "the S3 server refuses the keys (403 AccessDenied)");
    }

    #[test]
    fn a_status_is_found_in_the_clients_words() {
        let words = "Server returned non-2xx status code: 503 Service Unavailable: ";
        assert_eq!((status(words), status("status code: x"), status("")), (Some(503), None, None));
    }

    #[test]
    fn what_is_unknown_is_a_fault_of_ours() {
        let odd = object_store::Error::Generic { store: "S3", source: "at /bucket/secret".into() };
        assert!(matches!(failed(&odd), ObjectError::Fault(_)));
        assert!(!format!("{:?}", failed(&odd)).contains("secret"));
    }
}

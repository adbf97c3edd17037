//! What PostgreSQL keeps of a password. Told this instead of the password, it has none to write into a log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::digest::InvalidLength;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// As often as PostgreSQL does it by itself. The passwords are long and random: nobody guesses them, however few.
const ROUNDS: u32 = 4096;

pub(super) fn hmac(key: &[u8], message: &[u8]) -> Result<[u8; 32], InvalidLength> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(message);
    Ok(mac.finalize().into_bytes().into())
}

/// The verifier of SCRAM-SHA-256 (RFC 5802, RFC 7677), as PostgreSQL writes it. For passwords of ASCII letters and digits,
/// which need no preparation.
pub(super) fn verifier(password: &str, salt: &[u8]) -> Result<String, InvalidLength> {
    let salted = salted(password.as_bytes(), salt)?;
    let stored = Sha256::digest(hmac(&salted, b"Client Key")?);
    let server = hmac(&salted, b"Server Key")?;
    let [salt, stored, server] = [salt, &stored[..], &server[..]].map(|bytes| STANDARD.encode(bytes));
    Ok(format!("SCRAM-SHA-256${ROUNDS}:{salt}${stored}:{server}"))
}

/// PBKDF2 with HMAC-SHA-256, for one block.
fn salted(password: &[u8], salt: &[u8]) -> Result<[u8; 32], InvalidLength> {
    let mut round = hmac(password, &[salt, &1_u32.to_be_bytes()].concat())?;
    let mut sum = round;
    for _ in 1..ROUNDS {
        round = hmac(password, &round)?;
        for (all, one) in sum.iter_mut().zip(round) {
            *all ^= one;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_example_comes_out() {
        // RFC 7677, section 3: what its server signs follows from these two keys.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let told = verifier("pencil", &salt).unwrap();
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                        wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(told, expected);
    }
}

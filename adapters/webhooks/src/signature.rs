//! Signatures as Standard Webhooks has them: an HMAC with SHA-256 over id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gadwall_domain::webhook::WebhookSecret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What goes with a delivery to show who sent it.
pub(crate) fn sign(secret: &WebhookSecret, id: &str, timestamp: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_id_time_and_body() {
        let secret = WebhookSecret([0x2a; 32]);
        let good = sign(&secret, "msg_1", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert!(good.starts_with("v1,") && good.len() == 47);
        for other in [
            sign(&secret, "msg_2", 1_614_265_330, r#"{"test": 2432232314}"#),
            sign(&secret, "msg_1", 1_614_265_331, r#"{"test": 2432232314}"#),
            sign(&secret, "msg_1", 1_614_265_330, "{}"),
            sign(&WebhookSecret([0x2b; 32]), "msg_1", 1_614_265_330, r#"{"test": 2432232314}"#),
        ] {
            assert_ne!(good, other);
        }
    }
}

//! `/projects/{id}/datasets`, and the same for one's own project under shorter names.

mod answer;
mod conditions;
mod listing;
mod long;
mod range;
mod short;
mod upload;

pub(crate) use long::DatasetsApi;
pub(crate) use short::ShortDatasetsApi;

use std::fmt::Write as _;

use gadwall_domain::dataset::{DatasetName, ObjectName};

use crate::problem::ApiResult;

fn dataset_name(text: &str) -> ApiResult<DatasetName> {
    Ok(DatasetName::parse(text)?)
}

fn object_name(text: &str) -> ApiResult<ObjectName> {
    Ok(ObjectName::parse(text)?)
}

/// Text as it may stand in a URL or an extended header parameter: all but letters, digits and `-._~` encoded.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

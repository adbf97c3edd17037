//! `/projects/{id}/datasets`, and the same for one's own project under shorter names.

mod answer;
mod conditions;
mod listing;
mod long;
mod presign;
mod range;
mod short;
mod upload;

pub(crate) use long::DatasetsApi;
pub(crate) use short::ShortDatasetsApi;

use gadwall_domain::dataset::{DatasetName, ObjectName};

use crate::problem::ApiResult;

fn dataset_name(text: &str) -> ApiResult<DatasetName> {
    Ok(DatasetName::parse(text)?)
}

fn object_name(text: &str) -> ApiResult<ObjectName> {
    Ok(ObjectName::parse(text)?)
}

//! What the failure of a write means to whoever asked for it.

use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lake::WriteError;
use gadwall_domain::table::TableRef;

use crate::error::UseCaseError;

/// Tells a write's failure in terms of what it was about.
pub(crate) fn about_table(project: &ProjectId, table: &TableRef) -> impl FnOnce(WriteError) -> UseCaseError {
    let (project, table) = (project.clone(), table.clone());
    move |error| match error {
        WriteError::BucketExists => UseCaseError::BucketExists { project, bucket: table.bucket },
        WriteError::NoBucket => UseCaseError::NoBucket { project, bucket: table.bucket },
        WriteError::BucketNotEmpty => UseCaseError::BucketNotEmpty { bucket: table.bucket },
        WriteError::TableExists => UseCaseError::TableExists { project, table },
        WriteError::ViewExists => UseCaseError::ViewExists { project, view: table },
        WriteError::NoView => UseCaseError::NoView { project, view: table },
        WriteError::NoTable => UseCaseError::NoTable { project, table },
        WriteError::TableChanged => UseCaseError::TableChanged(table),
        WriteError::NotExpected { .. } => UseCaseError::NotExpected { table, found: None },
        WriteError::NoKey => UseCaseError::NoKey(table),
        WriteError::BadFilter(reason) => UseCaseError::BadFilter(reason),
        WriteError::Alteration(error) => UseCaseError::Alteration(error),
        WriteError::NoSnapshot => UseCaseError::NoSnapshot { project, snapshot: "of that number".to_owned() },
        WriteError::BadFile { file, reason } => UseCaseError::BadFile { file, reason },
        WriteError::Rows(error) => UseCaseError::Rows(error),
        WriteError::Violations(violations) => UseCaseError::Violations { table, violations },
        WriteError::DuplicateKeys { first, count } => UseCaseError::DuplicateKeys { table, first, count },
        WriteError::Contract(breaches) => UseCaseError::ContractViolated { table, breaches },
        WriteError::Lake(error) => UseCaseError::Lake(error),
    }
}

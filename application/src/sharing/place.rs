//! Where a bucket is that a caller names: in the caller's project, or behind a link.

use gadwall_domain::names::BucketName;
use gadwall_domain::project::Project;
use gadwall_domain::sharing::Link;
use gadwall_domain::table::{Table, TableRef};
use gadwall_domain::view::View;

use crate::error::UseCaseError;
use crate::versions::Version;

/// What a view's query is to those who read it through a link.
const OWNERS: &str = "/* its owner's */";

/// A bucket that was opened to be read.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The project that it is in.
    pub(crate) project: Project,
    /// Its name there.
    pub(crate) bucket: BucketName,
    /// The link that leads there, if one does.
    pub(crate) link: Option<Link>,
}

impl Place {
    /// A table's name there.
    pub(crate) fn table(&self, asked: &TableRef) -> TableRef {
        TableRef { bucket: self.bucket.clone(), table: asked.table.clone() }
    }

    /// The version that is read there if the caller names that one.
    pub(crate) fn version(&self, asked: &Version) -> Result<Version, UseCaseError> {
        let Some(link) = &self.link else { return Ok(asked.clone()) };
        match (asked, link.snapshot) {
            // Those of the owner are its own business.
            (Version::Tag(tag), _) => Err(UseCaseError::NoTag { project: link.project.clone(), tag: tag.clone() }),
            (Version::Head, Some(pinned)) => Ok(Version::Snapshot(pinned)),
            (Version::Snapshot(snapshot), Some(pinned)) if *snapshot == pinned => Ok(Version::Snapshot(pinned)),
            (_, Some(pinned)) => {
                Err(UseCaseError::Invalid(format!("bucket {} is linked as of snapshot {pinned} alone", link.name)))
            }
            (version, None) => Ok(version.clone()),
        }
    }

    /// A table as its reader knows it.
    pub(crate) fn shown(&self, table: Table) -> Table {
        let Some(link) = &self.link else { return table };
        Table { name: TableRef { bucket: link.name.clone(), table: table.name.table }, ..table }
    }

    /// A view as its reader knows it.
    pub(crate) fn shown_view(&self, view: View) -> View {
        let Some(link) = &self.link else { return view };
        let name = TableRef { bucket: link.name.clone(), table: view.name.table };
        View { name, query: OWNERS.to_owned(), ..view }
    }

    /// A failure in the reader's terms.
    pub(crate) fn told(&self, error: UseCaseError) -> UseCaseError {
        let Some(link) = &self.link else { return error };
        let (project, bucket) = (link.project.clone(), link.name.clone());
        let named = |table: TableRef| TableRef { bucket: bucket.clone(), table: table.table };
        match error {
            UseCaseError::NoBucket { .. } => UseCaseError::NoBucket { project, bucket },
            UseCaseError::NoTable { table, .. } => UseCaseError::NoTable { project, table: named(table) },
            UseCaseError::NoView { view, .. } => UseCaseError::NoView { project, view: named(view) },
            UseCaseError::IsView(view) => UseCaseError::IsView(named(view)),
            UseCaseError::NoSnapshot { snapshot, .. } => UseCaseError::NoSnapshot { project, snapshot },
            other => other,
        }
    }
}

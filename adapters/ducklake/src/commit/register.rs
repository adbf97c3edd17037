use super::Commit;
use crate::past::Told;
use gadwall_domain::commit::Change;
use gadwall_domain::ports::lake::{EngineFile, WriteError};
use gadwall_domain::schema::TableSchema;
use gadwall_domain::table::TableRef;
impl Commit<'_> {
    pub(super) fn register(
        &self,
        _: &Told,
        _: &TableRef,
        _: &TableSchema,
        _: &[EngineFile],
    ) -> Result<Change, WriteError> {
        Err(crate::error::fault("not supported yet").into())
    }
}

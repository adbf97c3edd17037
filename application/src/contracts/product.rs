//! A project as a data product: Bitol's Open Data Product Standard (ODPS) 1.0.0, made from what is there.

use std::collections::{BTreeMap, BTreeSet};

use gadwall_domain::access::{Principal, Scope};
use gadwall_domain::contract::HeldContract;
use gadwall_domain::history::ReadAt;
use gadwall_domain::names::{BucketName, ProjectId, TableName};
use gadwall_domain::sharing::KnownLink;
use gadwall_domain::table::TableRef;
use serde_json::{Value, json};

use super::{Contracts, all_of};
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Most ports of a kind that a descriptor lists.
pub const MAX_PORTS: usize = 2_000;
/// Grants that are looked at.
const MAX_GRANTS: u32 = 10_000;

impl Contracts {
    /// Describes a project as a data product. `base` is where the server is asked, for links.
    pub async fn product(&self, caller: &Caller, project: &ProjectId, base: &str) -> Result<Value, UseCaseError> {
        let project = self.0.access.open(caller, project, Scope::Read).await?;
        let only = caller.principal().and_then(Principal::only_bucket).cloned();
        let may_see = |bucket: &BucketName| only.as_ref().is_none_or(|only| only == bucket);
        let contracts: BTreeMap<TableRef, HeldContract> =
            all_of(&*self.0.store, &project.id).await?.into_iter().collect();
        let (shared, links) = {
            let mut tx = self.0.store.read().await?;
            let given = tx.sharing().shares_by(&project.id).await?;
            let grants = tx.sharing().grants(Some(&project.id), MAX_GRANTS).await?;
            let buckets = given.into_iter().map(|share| share.source.bucket);
            let shared: BTreeSet<BucketName> =
                buckets.chain(grants.into_iter().map(|grant| grant.source.bucket)).filter(&may_see).collect();
            (shared, tx.sharing().links_of(&project.id).await?)
        };
        let at = |rest: String| format!("{base}/projects/{}{rest}", project.id);
        let inputs = self.inputs(links.iter().filter(|link| may_see(&link.link.name))).await?;
        let mut outputs = Vec::new();
        let mut management = vec![
            json!({ "name": "snapshots", "content": "observability", "type": "rest", "url": at("/snapshots".to_owned()),
                    "description": "What changed, when, and by whom." }),
            json!({ "name": "api", "content": "discoverability", "type": "rest", "url": format!("{base}/openapi.json"),
                    "description": "All that can be asked of it." }),
        ];
        for bucket in &shared {
            let Some(stored) = self.0.lakes.tables(project.lake, bucket, ReadAt::Head).await? else { continue };
            for table in stored {
                if outputs.len() >= MAX_PORTS {
                    break;
                }
                let name = &table.name;
                let held = contracts.get(name);
                let version = held.map_or_else(
                    || format!("{}.{}", table.version.schema, table.version.rows),
                    |held| held.contract.version.clone(),
                );
                let inputs: Vec<Value> =
                    inputs.iter().map(|port| json!({ "id": port["contractId"], "version": port["version"] })).collect();
                let mut port = json!({ "name": name.to_string(), "type": "tables", "version": version });
                if let Some(told) =
                    table.comments.table.as_deref().or(held.and_then(|held| held.contract.name.as_deref()))
                {
                    port["description"] = json!(told);
                }
                if let Some(held) = held {
                    port["contractId"] = json!(held.contract.id);
                }
                if !inputs.is_empty() {
                    port["inputContracts"] = json!(inputs);
                }
                outputs.push(port);
                let of_table = format!("/buckets/{}/tables/{}", name.bucket, name.table);
                management.push(json!({
                    "name": format!("{name} schema"), "content": "dictionary", "type": "rest", "url": at(of_table.clone()),
                    "description": "Its columns, types and key.",
                }));
                if held.is_some() {
                    management.push(json!({
                        "name": format!("{name} contract"), "content": "dictionary", "type": "rest",
                        "url": at(format!("{of_table}/contract")), "description": "What is promised of it.",
                    }));
                    management.push(json!({
                        "name": format!("{name} quality"), "content": "observability", "type": "rest",
                        "url": at(format!("{of_table}/contract/results")), "description": "How far it is kept.",
                    }));
                }
            }
        }
        Ok(json!({
            "apiVersion": "v1.0.0",
            "kind": "DataProduct",
            "id": project.id,
            "name": project.name.clone().unwrap_or_else(|| project.id.to_string()),
            "version": self.0.lakes.head(project.lake).await?.to_string(),
            "status": "active",
            "authoritativeDefinitions": [
                { "type": "implementation", "url": at(String::new()), "description": "The project." },
                { "type": "tutorial", "url": format!("{base}/docs"), "description": "How to ask for its data." },
            ],
            "inputPorts": inputs,
            "outputPorts": outputs,
            "managementPorts": management,
            "productCreatedTs": project.created_at.to_rfc3339(),
        }))
    }

    /// What comes from other projects, as far as that is under a contract: the standard has no other ports.
    async fn inputs(&self, links: impl Iterator<Item = &KnownLink>) -> Result<Vec<Value>, UseCaseError> {
        let mut ports = Vec::new();
        let mut known: BTreeMap<ProjectId, Vec<(TableRef, HeldContract)>> = BTreeMap::new();
        for KnownLink { link, open } in links {
            let owner = &link.source.project;
            if !open || ports.len() >= MAX_PORTS {
                continue;
            }
            if !known.contains_key(owner) {
                known.insert(owner.clone(), all_of(&*self.0.store, owner).await?);
            }
            let named = |table: &TableName| format!("{}.{table}", link.name);
            let of_bucket =
                known.get(owner).into_iter().flatten().filter(|(table, _)| table.bucket == link.source.bucket);
            ports.extend(of_bucket.map(|(table, held)| {
                json!({ "name": named(&table.table), "version": held.contract.version, "contractId": held.contract.id })
            }));
        }
        ports.truncate(MAX_PORTS);
        Ok(ports)
    }
}

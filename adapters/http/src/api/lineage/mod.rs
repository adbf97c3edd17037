//! `/api/v1/lineage` and what is beside it: events of OpenLineage in, questions of Marquez's clients answered.

mod bodies;
mod catalogue;
mod graphs;
mod queue;
mod render;

pub(crate) use catalogue::CatalogueApi;
pub(crate) use queue::LineageQueueApi;

use std::sync::Arc;

use gadwall_application::access::Access;
use gadwall_application::lineage::{Ingested, Lineage, MAX_DEPTH, Way};
use gadwall_domain::lineage::{NodeId, RunError};
use gadwall_domain::names::ProjectId;
use poem_openapi::param::Query;
use poem_openapi::payload::{Json, PlainText};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi, ResponseContent};
use serde_json::Value;

use super::{Area, number};
use crate::auth::Auth;
use crate::problem::{ApiError, ApiResult};
use bodies::{BatchBody, FailedEvent};
use graphs::{ColumnNodes, GraphNodes};

/// Steps that a graph goes unless told.
const DEPTH: u32 = 20;

pub(crate) struct LineageApi {
    pub(crate) access: Arc<Access>,
    pub(crate) lineage: Arc<Lineage>,
}

/// What came of an event.
#[derive(Debug, Object)]
struct EventTaken {
    /// `success`
    status: String,
}

/// Which way to follow a graph.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename = "LineageDirection", rename_all = "lowercase")]
enum WayWord {
    /// Where rows come from.
    Upstream,
    /// Where they go.
    Downstream,
    /// Both.
    Both,
}

impl From<WayWord> for Way {
    fn from(word: WayWord) -> Self {
        match word {
            WayWord::Upstream => Self::Upstream,
            WayWord::Downstream => Self::Downstream,
            WayWord::Both => Self::Both,
        }
    }
}

/// What a graph is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "LineageFormat", rename_all = "lowercase")]
enum FormatWord {
    /// As Marquez does.
    Json,
    /// A flowchart of Mermaid.
    Mermaid,
    /// A graph of Graphviz.
    Dot,
}

#[derive(ApiResponse)]
enum GraphResponse {
    /// The graph: its nodes, or a text to be drawn.
    #[oai(status = 200)]
    Found(GraphContent),
}

#[derive(ResponseContent)]
enum GraphContent {
    Json(Json<GraphNodes>),
    Drawn(PlainText<String>),
}

#[OpenApi(tag = "Area::Lineage")]
impl LineageApi {
    /// Take in an event of OpenLineage
    ///
    /// Of a run, a job or a dataset (2-0-2). The run's state can be read once this is answered; the graph follows.
    #[oai(path = "/api/v1/lineage", method = "post", operation_id = "post_lineage")]
    async fn take(&self, auth: Auth, event: Json<Value>) -> ApiResult<Json<EventTaken>> {
        let project = self.project(&auth)?;
        let Ingested { refused, .. } = self.lineage.ingest(auth.caller(), &project, vec![event.0]).await?;
        match refused.into_iter().next() {
            Some((_, error)) => Err(gadwall_application::error::UseCaseError::from(error).into()),
            None => Ok(Json(EventTaken { status: "success".to_owned() })),
        }
    }

    /// Take in many events of OpenLineage
    ///
    /// In order. What can't be taken is told one by one, and the others are taken.
    #[oai(path = "/api/v1/lineage/batch", method = "post", operation_id = "post_lineage_batch")]
    async fn take_batch(&self, auth: Auth, events: Json<Vec<Value>>) -> ApiResult<Json<BatchBody>> {
        let project = self.project(&auth)?;
        let Ingested { taken, refused } = self.lineage.ingest(auth.caller(), &project, events.0).await?;
        let failed = refused.into_iter().map(|(index, error)| FailedEvent::new(index, error.to_string()));
        Ok(Json(BatchBody::new(taken, failed.collect())))
    }

    /// Follow jobs and datasets
    ///
    /// What a job or dataset depends on, and what depends on it. The shape is that of Marquez.
    #[oai(path = "/api/v1/lineage", method = "get", operation_id = "get_lineage")]
    async fn graph(
        &self,
        auth: Auth,
        /// `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`.
        #[oai(name = "nodeId")]
        node: Query<String>,
        /// So many steps far: 0 to 100, 20 unless told.
        depth: Query<Option<i64>>,
        /// Which way; both unless told.
        direction: Query<Option<WayWord>>,
        /// As what; JSON unless told.
        format: Query<Option<FormatWord>>,
    ) -> ApiResult<GraphResponse> {
        let project = self.project(&auth)?;
        let depth = number("depth", depth.0, 0..=MAX_DEPTH, DEPTH)?;
        let way = direction.0.map_or(Way::Both, Way::from);
        let graph = self.lineage.graph(auth.caller(), &project, &node.0, depth, way).await?;
        Ok(GraphResponse::Found(match format.0.unwrap_or(FormatWord::Json) {
            FormatWord::Json => GraphContent::Json(Json(GraphNodes::from(graph))),
            FormatWord::Mermaid => GraphContent::Drawn(PlainText(render::mermaid(&graph))),
            FormatWord::Dot => GraphContent::Drawn(PlainText(render::dot(&graph))),
        }))
    }

    /// Follow columns
    ///
    /// Which columns a dataset's columns, or one of them, are made of; and with `withDownstream` what is made of them.
    #[oai(path = "/api/v1/column-lineage", method = "get", operation_id = "get_column_lineage")]
    async fn columns(
        &self,
        auth: Auth,
        /// `dataset:NAMESPACE:NAME` or `datasetField:NAMESPACE:NAME:FIELD`.
        #[oai(name = "nodeId")]
        node: Query<String>,
        /// So many steps far: 0 to 100, 20 unless told.
        depth: Query<Option<i64>>,
        /// Whether what is made of them is told, too: `true` or `false`, in any case.
        #[oai(name = "withDownstream")]
        with_downstream: Query<Option<String>>,
    ) -> ApiResult<Json<ColumnNodes>> {
        let project = self.project(&auth)?;
        let depth = number("depth", depth.0, 0..=MAX_DEPTH, DEPTH)?;
        // Python's clients write `True`.
        let way = match with_downstream.0.map(|word| word.to_ascii_lowercase()).as_deref() {
            None | Some("false") => Way::Upstream,
            Some("true") => Way::Both,
            Some(_) => return Err(ApiError::out_of_range("withDownstream is true or false")),
        };
        let asked = asked_columns(&node.0);
        if asked.is_empty() {
            let wanted = "nodeId is dataset:NAMESPACE:NAME or datasetField:NAMESPACE:NAME:FIELD";
            return Err(ApiError::out_of_range(wanted));
        }
        let mut nothing = None;
        for (dataset, field) in asked {
            let found = self.lineage.columns(auth.caller(), &project, &dataset.name, field.as_deref(), depth, way);
            match found.await {
                Ok(found) => return Ok(Json(ColumnNodes::from(found))),
                Err(error @ gadwall_application::error::UseCaseError::Run(RunError::NoNode(_))) => {
                    nothing = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(nothing.map_or_else(|| ApiError::out_of_range("nodeId names nothing"), ApiError::from))
    }
}

impl LineageApi {
    fn project(&self, auth: &Auth) -> ApiResult<ProjectId> {
        auth.own_project(&self.access)
    }
}

/// The datasets, and columns of them, that an id of a node may mean.
fn asked_columns(node: &str) -> Vec<(NodeId, Option<String>)> {
    if let Some(rest) = node.strip_prefix("datasetField:") {
        let parts = rest.rmatch_indices(':').take(4).map(|(at, _)| (&rest[..at], &rest[at + 1..]));
        let asked = parts.flat_map(|(dataset, field)| {
            let datasets = NodeId::parse(&format!("dataset:{dataset}"));
            datasets.into_iter().map(|dataset| (dataset, Some(field.to_owned())))
        });
        return asked.collect();
    }
    let datasets = NodeId::parse(node).into_iter();
    datasets.filter(|_| node.starts_with("dataset:")).map(|dataset| (dataset, None)).collect()
}

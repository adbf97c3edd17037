//! Graphs, in the shape of Marquez: each node with the edges at it.

use std::collections::{BTreeMap, BTreeSet};

use gadwall_application::lineage::{ColumnGraph, Graph, GraphNode};
use gadwall_domain::lineage::{ColumnEdge, NodeId, NodeKind, NodeName};
use poem_openapi::{Object, Union};

use super::bodies::{MarquezDataset, MarquezJob};

/// An edge.
#[derive(Debug, Object)]
#[oai(rename = "LineageEdge")]
struct EdgeBody {
    /// Where rows come from.
    origin: String,
    /// Where they go.
    destination: String,
}

/// What is known of a node.
#[derive(Debug, Union)]
#[oai(rename = "LineageNodeData", one_of = false)]
#[expect(clippy::large_enum_variant, reason = "it lives as long as it takes to write it down")]
enum NodeData {
    /// A job.
    Job(MarquezJob),
    /// A dataset.
    Dataset(MarquezDataset),
}

/// A node.
#[derive(Debug, Object)]
#[oai(rename = "LineageNode", rename_all = "camelCase")]
struct NodeBody {
    /// `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`.
    id: String,
    /// `JOB` or `DATASET`.
    #[oai(rename = "type")]
    kind: String,
    /// What is known of it.
    data: NodeData,
    /// The edges that end here.
    in_edges: Vec<EdgeBody>,
    /// The edges that begin here.
    out_edges: Vec<EdgeBody>,
}

/// A graph of jobs and datasets.
#[derive(Debug, Object)]
#[oai(rename = "LineageGraph")]
pub(super) struct GraphNodes {
    /// The nodes.
    graph: Vec<NodeBody>,
    /// Whether there is more than an answer holds.
    truncated: bool,
}

impl From<Graph> for GraphNodes {
    fn from(graph: Graph) -> Self {
        let Graph { nodes, edges, truncated, .. } = graph;
        let of = |from: &NodeId, to: &NodeId| EdgeBody { origin: from.to_string(), destination: to.to_string() };
        let mut at: BTreeMap<&NodeId, (Vec<&NodeId>, Vec<&NodeId>)> = BTreeMap::new();
        for (from, to) in &edges {
            at.entry(to).or_default().0.push(from);
            at.entry(from).or_default().1.push(to);
        }
        let body = |(id, node): (NodeId, GraphNode)| {
            let (before, after) = at.get(&id).cloned().unwrap_or_default();
            let names = |nodes: &[&NodeId]| nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
            let data = match node {
                GraphNode::Job(job) => NodeData::Job(MarquezJob::new(*job, &names(&before), &names(&after), None)),
                GraphNode::Dataset(dataset) => NodeData::Dataset((*dataset).into()),
            };
            NodeBody {
                kind: if id.kind == NodeKind::Job { "JOB" } else { "DATASET" }.to_owned(),
                data,
                in_edges: before.iter().map(|from| of(from, &id)).collect(),
                out_edges: after.iter().map(|to| of(&id, to)).collect(),
                id: id.to_string(),
            }
        };
        Self { graph: nodes.into_iter().map(body).collect(), truncated }
    }
}

/// A column that another comes from.
#[derive(Debug, Object)]
#[oai(rename = "ColumnLineageInput", rename_all = "camelCase")]
struct InputField {
    /// Its dataset's namespace.
    namespace: String,
    /// Its dataset.
    dataset: String,
    /// Its name.
    field: String,
    /// `DIRECT` for values, `INDIRECT` for which rows there are, or in which order or groups.
    transformation_type: String,
    /// What is done on the way: `IDENTITY`, `AGGREGATION`, `FILTER`, …
    transformation_description: Option<String>,
}

/// What is known of a column.
#[derive(Debug, Object)]
#[oai(rename = "ColumnLineageField", rename_all = "camelCase")]
struct FieldData {
    /// Its dataset's namespace.
    namespace: String,
    /// Its dataset.
    dataset: String,
    /// Its name; `*` stands for all columns of the dataset.
    field: String,
    /// What it comes from.
    input_fields: Vec<InputField>,
}

/// A column.
#[derive(Debug, Object)]
#[oai(rename = "ColumnLineageNode", rename_all = "camelCase")]
struct FieldNode {
    /// `datasetField:NAMESPACE:NAME:FIELD`
    id: String,
    /// `DATASET_FIELD`
    #[oai(rename = "type")]
    kind: String,
    /// What is known of it.
    data: FieldData,
    /// The edges that end here.
    in_edges: Vec<EdgeBody>,
    /// The edges that begin here.
    out_edges: Vec<EdgeBody>,
}

/// A graph of columns.
#[derive(Debug, Object)]
#[oai(rename = "ColumnLineageGraph")]
pub(super) struct ColumnNodes {
    /// The columns.
    graph: Vec<FieldNode>,
    /// Whether there is more than an answer holds.
    truncated: bool,
    /// Whether a statement that wrote one of these datasets tells a part of its columns only: the rest isn't known.
    partial: bool,
}

/// A column, or all of a dataset.
type Field = (NodeName, String);

fn field_id((dataset, field): &Field) -> String {
    format!("datasetField:{}:{}:{field}", dataset.namespace(), dataset.name())
}

impl From<ColumnGraph> for ColumnNodes {
    fn from(graph: ColumnGraph) -> Self {
        let ends = |edge: &ColumnEdge| {
            let to_field = edge.to_field.clone().unwrap_or_else(|| "*".to_owned());
            ((edge.from.clone(), edge.from_field.clone()), (edge.to.clone(), to_field))
        };
        let mut fields: BTreeSet<Field> = BTreeSet::new();
        let mut before: BTreeMap<Field, Vec<(Field, &ColumnEdge)>> = BTreeMap::new();
        let mut after: BTreeMap<Field, BTreeSet<Field>> = BTreeMap::new();
        for edge in &graph.edges {
            let (from, to) = ends(edge);
            fields.extend([from.clone(), to.clone()]);
            before.entry(to.clone()).or_default().push((from.clone(), edge));
            after.entry(from).or_default().insert(to);
        }
        let edge = |from: &Field, to: &Field| EdgeBody { origin: field_id(from), destination: field_id(to) };
        let node = |field: Field| {
            let sources = before.get(&field).map(Vec::as_slice).unwrap_or_default();
            let input = |(from, edge): &(Field, &ColumnEdge)| InputField {
                namespace: from.0.namespace().to_owned(),
                dataset: from.0.name().to_owned(),
                field: from.1.clone(),
                transformation_type: edge.influence.as_str().to_owned(),
                transformation_description: edge.transformation.clone(),
            };
            let near: BTreeSet<&Field> = sources.iter().map(|(from, _)| from).collect();
            FieldNode {
                id: field_id(&field),
                kind: "DATASET_FIELD".to_owned(),
                in_edges: near.into_iter().map(|from| edge(from, &field)).collect(),
                out_edges: after.get(&field).into_iter().flatten().map(|to| edge(&field, to)).collect(),
                data: FieldData {
                    namespace: field.0.namespace().to_owned(),
                    dataset: field.0.name().to_owned(),
                    input_fields: sources.iter().map(input).collect(),
                    field: field.1,
                },
            }
        };
        Self { graph: fields.into_iter().map(node).collect(), truncated: graph.truncated, partial: graph.partial }
    }
}

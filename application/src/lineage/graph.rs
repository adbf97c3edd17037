//! Questions about the graph: what is around a node, and which columns come from which.

use std::collections::{BTreeMap, BTreeSet};

use gadwall_domain::access::Scope;
use gadwall_domain::lineage::{ColumnEdge, Dataset, Direction, Job, NodeId, NodeKind, NodeName, RunError};
use gadwall_domain::names::ProjectId;
use gadwall_domain::ports::lineage::{Edge, LineageRepository};

use super::Lineage;
use crate::caller::Caller;
use crate::error::UseCaseError;

/// Most steps from the node that is asked for.
pub const MAX_DEPTH: u32 = 100;
/// Most nodes of an answer, and most edges that are looked at in one step.
const MAX_NODES: usize = 5_000;
const MAX_EDGES: u32 = 50_000;

/// Which way a graph is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To where rows come from.
    Upstream,
    /// To where they go.
    Downstream,
    /// Both.
    Both,
}

impl Way {
    fn goes(self, way: Self) -> bool {
        self == Self::Both || self == way
    }
}

/// A node with what is known of it.
#[derive(Debug, Clone)]
pub enum GraphNode {
    /// A job.
    Job(Box<Job>),
    /// A dataset.
    Dataset(Box<Dataset>),
}

/// What is around a node.
#[derive(Debug, Clone)]
pub struct Graph {
    /// The node that was asked for.
    pub origin: NodeId,
    /// All nodes, with what is known of them.
    pub nodes: BTreeMap<NodeId, GraphNode>,
    /// From where to where rows go.
    pub edges: BTreeSet<(NodeId, NodeId)>,
    /// Whether there is more than an answer holds.
    pub truncated: bool,
}

/// Which columns come from which.
#[derive(Debug, Clone)]
pub struct ColumnGraph {
    /// The dataset that was asked for.
    pub origin: NodeName,
    /// Its column, if one was.
    pub field: Option<String>,
    /// The edges, in steps away from it.
    pub edges: Vec<ColumnEdge>,
    /// Whether there is more than an answer holds.
    pub truncated: bool,
    /// Whether a dataset of it told a part of its columns only.
    pub partial: bool,
}

impl Lineage {
    /// What is around a node, so many steps far.
    pub async fn graph(
        &self,
        caller: &Caller,
        project: &ProjectId,
        node: &str,
        depth: u32,
        way: Way,
    ) -> Result<Graph, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?.id;
        let mut tx = self.store.read().await?;
        let lineage = tx.lineage();
        let mut found = BTreeMap::new();
        let candidates = NodeId::parse(node);
        describe(lineage, &project, &candidates, &mut found).await?;
        let origin = candidates.into_iter().find(|node| found.contains_key(node));
        let origin = origin.ok_or_else(|| RunError::NoNode(node.chars().take(200).collect()))?;
        found.retain(|known, _| *known == origin);

        // Each end is followed on in its own way: what lies upstream of what lies downstream is another's business.
        let mut seen: BTreeSet<(NodeId, bool)> = BTreeSet::new();
        let mut frontier = BTreeSet::new();
        for upstream in [true, false] {
            if way.goes(if upstream { Way::Upstream } else { Way::Downstream }) {
                seen.insert((origin.clone(), upstream));
                frontier.insert((origin.clone(), upstream));
            }
        }
        let (mut edges, mut truncated) = (BTreeSet::new(), false);
        for _ in 0..depth.min(MAX_DEPTH) {
            let mut next = BTreeSet::new();
            for (from, to, upstream) in steps(lineage, &project, &frontier, &mut truncated).await? {
                let far = if upstream { &from } else { &to };
                if seen.len() >= MAX_NODES && !seen.contains(&(far.clone(), upstream)) {
                    truncated = true;
                    continue;
                }
                if seen.insert((far.clone(), upstream)) {
                    next.insert((far.clone(), upstream));
                }
                edges.insert((from, to));
            }
            if next.is_empty() {
                break;
            }
            frontier = next;
        }
        let nodes: BTreeSet<NodeId> = seen.into_iter().map(|(node, _)| node).collect();
        let nodes: Vec<NodeId> = nodes.into_iter().collect();
        describe(lineage, &project, &nodes, &mut found).await?;
        Ok(Graph { origin, nodes: found, edges, truncated })
    }

    /// Which columns a dataset's columns, or one of them, come from or go to, so many steps far.
    pub async fn columns(
        &self,
        caller: &Caller,
        project: &ProjectId,
        dataset: &NodeName,
        field: Option<&str>,
        depth: u32,
        way: Way,
    ) -> Result<ColumnGraph, UseCaseError> {
        let project = self.open(caller, project, Scope::Read).await?.id;
        let mut tx = self.store.read().await?;
        let lineage = tx.lineage();
        if lineage.datasets(&project, std::slice::from_ref(dataset)).await?.is_empty() {
            return Err(RunError::NoNode(NodeId::dataset(dataset.clone()).to_string()).into());
        }
        let mut told = BTreeSet::new();
        let mut truncated = false;
        for direction in [Direction::Input, Direction::Output] {
            let goes = match direction {
                Direction::Input => way.goes(Way::Upstream),
                Direction::Output => way.goes(Way::Downstream),
            };
            if goes {
                let from = (dataset.clone(), field.map(str::to_owned));
                truncated |= follow(lineage, &project, direction, from, depth, &mut told).await?;
            }
        }
        let edges: Vec<ColumnEdge> = told.into_iter().collect();
        let written: BTreeSet<&NodeName> = edges.iter().map(|edge| &edge.to).chain([dataset]).collect();
        let written: Vec<NodeName> = written.into_iter().cloned().collect();
        let partial = lineage.datasets(&project, &written).await?.iter().any(Dataset::is_partial);
        Ok(ColumnGraph { origin: dataset.clone(), field: field.map(str::to_owned), edges, truncated, partial })
    }
}

/// The edges that lead away from nodes, with the way in which each is gone.
async fn steps(
    lineage: &mut dyn LineageRepository,
    project: &ProjectId,
    frontier: &BTreeSet<(NodeId, bool)>,
    truncated: &mut bool,
) -> Result<Vec<(NodeId, NodeId, bool)>, UseCaseError> {
    let mut steps = Vec::new();
    // Upstream of a job is what it reads, upstream of a dataset who writes it.
    for (kind, upstream, direction) in [
        (NodeKind::Job, true, Direction::Input),
        (NodeKind::Job, false, Direction::Output),
        (NodeKind::Dataset, true, Direction::Output),
        (NodeKind::Dataset, false, Direction::Input),
    ] {
        let nodes = frontier.iter().filter(|(node, way)| node.kind == kind && *way == upstream);
        let names: Vec<NodeName> = nodes.map(|(node, _)| node.name.clone()).collect();
        let edges = lineage.edges_at(project, kind, direction, &names, MAX_EDGES).await?;
        *truncated |= edges.len() >= MAX_EDGES as usize;
        steps.extend(edges.iter().map(Edge::ends).map(|(from, to)| (from, to, upstream)));
    }
    Ok(steps)
}

async fn describe(
    lineage: &mut dyn LineageRepository,
    project: &ProjectId,
    nodes: &[NodeId],
    found: &mut BTreeMap<NodeId, GraphNode>,
) -> Result<(), UseCaseError> {
    let of = |kind: NodeKind| -> Vec<NodeName> {
        let wanted = nodes.iter().filter(|node| node.kind == kind && !found.contains_key(node));
        wanted.map(|node| node.name.clone()).collect()
    };
    let (jobs, datasets) = (of(NodeKind::Job), of(NodeKind::Dataset));
    for job in lineage.jobs(project, &jobs).await? {
        found.insert(NodeId::job(job.name.clone()), GraphNode::Job(Box::new(job)));
    }
    for dataset in lineage.datasets(project, &datasets).await? {
        found.insert(NodeId::dataset(dataset.name.clone()), GraphNode::Dataset(Box::new(dataset)));
    }
    Ok(())
}

/// Follows columns one way; answers whether there is more.
async fn follow(
    lineage: &mut dyn LineageRepository,
    project: &ProjectId,
    direction: Direction,
    from: (NodeName, Option<String>),
    depth: u32,
    told: &mut BTreeSet<ColumnEdge>,
) -> Result<bool, UseCaseError> {
    // None stands for all columns of a dataset.
    let mut frontier: BTreeSet<(NodeName, Option<String>)> = [from].into();
    let mut seen = frontier.clone();
    for _ in 0..depth.min(MAX_DEPTH) {
        let datasets: BTreeSet<NodeName> = frontier.iter().map(|(dataset, _)| dataset.clone()).collect();
        let datasets: Vec<NodeName> = datasets.into_iter().collect();
        let edges = lineage.columns_at(project, direction, &datasets, MAX_EDGES).await?;
        let mut more = edges.len() >= MAX_EDGES as usize;
        let mut next = BTreeSet::new();
        for edge in edges {
            let (near, near_field, far, far_field) = match direction {
                Direction::Input => (&edge.to, edge.to_field.clone(), &edge.from, Some(edge.from_field.clone())),
                Direction::Output => (&edge.from, Some(edge.from_field.clone()), &edge.to, edge.to_field.clone()),
            };
            let is_asked = frontier.contains(&(near.clone(), None))
                || near_field.is_none() && frontier.iter().any(|(dataset, _)| dataset == near)
                || frontier.contains(&(near.clone(), near_field));
            if !is_asked {
                continue;
            }
            if told.len() >= MAX_NODES {
                more = true;
                break;
            }
            if seen.insert((far.clone(), far_field.clone())) {
                next.insert((far.clone(), far_field));
            }
            told.insert(edge);
        }
        if more {
            return Ok(true);
        }
        if next.is_empty() {
            return Ok(false);
        }
        frontier = next;
    }
    Ok(false)
}

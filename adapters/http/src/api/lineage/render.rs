//! Graphs to be drawn. Names are others' and may have anything in them: they stand in quotes, and ids are numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gadwall_application::lineage::Graph;
use gadwall_domain::lineage::{NodeId, NodeKind};

fn numbered(graph: &Graph) -> BTreeMap<&NodeId, usize> {
    graph.nodes.keys().enumerate().map(|(number, node)| (node, number)).collect()
}

/// A name within quotes of HTML, as Mermaid takes it.
fn in_html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' | '"' | '<' | '>' | '#' | '`' | ';' => {
                // Writing to a String can't fail.
                let _ = write!(safe, "&#{};", u32::from(letter));
            }
            other => safe.push(other),
        }
    }
    safe
}

/// A name within quotes of DOT.
fn in_dot(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A flowchart of Mermaid.
pub(super) fn mermaid(graph: &Graph) -> String {
    let numbers = numbered(graph);
    let mut text = String::from("flowchart LR\n");
    for (node, number) in &numbers {
        let (open, close) = if node.kind == NodeKind::Job { ("([", "])") } else { ("[", "]") };
        let _ = writeln!(text, "    n{number}{open}\"{}\"{close}", in_html(node.name.name()));
    }
    for (from, to) in &graph.edges {
        if let (Some(from), Some(to)) = (numbers.get(from), numbers.get(to)) {
            let _ = writeln!(text, "    n{from} --> n{to}");
        }
    }
    text
}

/// A graph of Graphviz.
pub(super) fn dot(graph: &Graph) -> String {
    let numbers = numbered(graph);
    let mut text = String::from("digraph lineage {\n    rankdir=LR;\n");
    for (node, number) in &numbers {
        let shape = if node.kind == NodeKind::Job { "ellipse" } else { "box" };
        let _ = writeln!(text, "    n{number} [shape={shape}, label=\"{}\"];", in_dot(node.name.name()));
    }
    for (from, to) in &graph.edges {
        if let (Some(from), Some(to)) = (numbers.get(from), numbers.get(to)) {
            let _ = writeln!(text, "    n{from} -> n{to};");
        }
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use gadwall_application::lineage::GraphNode;
    use gadwall_domain::lineage::{Dataset, NodeName};
    use serde_json::Map;

    use super::*;

    #[test]
    fn names_stay_within_their_quotes() {
        let node = |name: &str| NodeId::dataset(NodeName::in_default(name).unwrap());
        let at = DateTime::from_timestamp(0, 0).unwrap();
        let dataset = |node: &NodeId| {
            let name = node.name.clone();
            GraphNode::Dataset(Box::new(Dataset { name, facets: Map::new(), created_at: at, updated_at: at }))
        };
        let (hostile, plain) = (node("\"];x[\\\"<b>"), node("plain"));
        let graph = Graph {
            origin: plain.clone(),
            nodes: [(hostile.clone(), dataset(&hostile)), (plain.clone(), dataset(&plain))].into(),
            edges: BTreeSet::from([(hostile, plain)]),
            truncated: false,
        };
        assert_eq!(
            mermaid(&graph),
            "flowchart LR\n    n0[\"&#34;]&#59;x[\\&#34;&#60;b&#62;\"]\n    n1[\"plain\"]\n    n0 --> n1\n"
        );
        assert_eq!(
            dot(&graph),
            "digraph lineage {\n    rankdir=LR;\n    n0 [shape=box, label=\"\\\"];x[\\\\\\\"<b>\"];\n    \
             n1 [shape=box, label=\"plain\"];\n    n0 -> n1;\n}\n"
        );
    }
}

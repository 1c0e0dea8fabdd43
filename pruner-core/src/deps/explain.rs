//! Why two places are in one group: the steps that joined them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::deps::{Analysis, Group};
use crate::ids::{AxisId, GroupId, NodeId, ValueId};
use crate::ops::NodeView;

/// A factor of a node and the places that it joins.
type Link = (NodeId, String, Vec<(ValueId, usize)>);

/// One step from a dimension of a value to another: a factor of a node's rule that both are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: NodeId,
    /// The factor of its rule.
    pub factor: String,
    /// The value and dimension that the step starts from.
    pub from: (ValueId, usize),
    /// The value and dimension that it leads to.
    pub to: (ValueId, usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, factor, from, to } = self;
        write!(f, "{}:{} and {}:{} are factor {factor} of {node}", from.0, from.1, to.0, to.1)
    }
}

impl Analysis {
    /// The shortest chain of steps by which `to` is cut when `from` is, both members of `group` given as a stored value and
    /// a dimension; `None` where one of them is no place of the group.
    pub fn explain(&self, group: GroupId, from: (ValueId, usize), to: (ValueId, usize)) -> Option<Vec<Step>> {
        let group = self.groups().get(group.index())?;
        let is_member = |place| group.members().iter().any(|member| (member.value, member.dim) == place);
        if !is_member(from) || !is_member(to) {
            return None;
        }
        let links = self.links(group.axis());
        let mut at: BTreeMap<(ValueId, usize), Vec<usize>> = BTreeMap::new();
        for (index, (_, _, places)) in links.iter().enumerate() {
            for &place in places {
                at.entry(place).or_default().push(index);
            }
        }
        let mut reached: BTreeMap<(ValueId, usize), Option<Step>> = BTreeMap::from([(from, None)]);
        let mut queue = VecDeque::from([from]);
        while let Some(place) = queue.pop_front() {
            if place == to {
                break;
            }
            for &(node, ref factor, ref places) in at.get(&place).into_iter().flatten().map(|&index| &links[index]) {
                for &next in places {
                    reached.entry(next).or_insert_with(|| {
                        queue.push_back(next);
                        Some(Step { node, factor: factor.clone(), from: place, to: next })
                    });
                }
            }
        }
        let mut steps = Vec::new();
        let mut place = to;
        while let Some(step) = reached.get(&place)? {
            place = step.from;
            steps.push(step.clone());
        }
        steps.reverse();
        Some(steps)
    }

    /// For every factor of every node that stands for the variable: the places that it joins.
    fn links(&self, axis: AxisId) -> Vec<Link> {
        let mut links = Vec::new();
        for (id, node) in self.graph().nodes() {
            let Some(axes) = self.node_axes(id) else { continue };
            for (index, factor) in axes.known.form.rule.factors.iter().enumerate() {
                if !axes.factors[index].contains(axis) {
                    continue;
                }
                let view = NodeView::new(self.graph(), id);
                let slots = view.slots().iter().zip(&axes.known.form.rule.operands);
                let read = slots.filter_map(|(slot, terms)| Some((slot.value?, terms.as_ref()?)));
                let made = node.results.iter().copied().zip(&axes.known.form.rule.results);
                let mut places = Vec::new();
                for (value, terms) in read.chain(made) {
                    for (dim, _) in terms.iter().enumerate().filter(|(_, term)| term.mentions(index)) {
                        places.push((value, dim));
                    }
                }
                links.push((id, factor.name.clone(), places));
            }
        }
        links
    }
}

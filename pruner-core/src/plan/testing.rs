//! A group for tests, made by hand and cut without a network.

use super::Plan;
use crate::deps::{Group, Layout, Member, Pin, Role, Side};
use crate::ids::{GroupId, NodeId, ValueId};

#[derive(Clone, Debug)]
pub(crate) struct TestGroup {
    id: GroupId,
    name: String,
    initial_size: usize,
    coordinates: Vec<u32>,
    members: Vec<Member>,
    pin: Option<Pin>,
    role: Role,
}

impl TestGroup {
    /// A group of one member, the first dimension of `layer.weight`.
    pub(crate) fn new(id: usize, layer: &str, size: usize) -> Self {
        let group = Self {
            id: GroupId::new(id),
            name: format!("{layer}.weight:0"),
            initial_size: size,
            coordinates: (0..size as u32).collect(),
            members: Vec::new(),
            pin: None,
            role: Role::Channels,
        };
        group.with_member(&format!("{layer}.weight"), 0, Layout::Identity(size))
    }

    pub(crate) fn with_member(mut self, name: &str, dim: usize, layout: Layout) -> Self {
        // Members of one name are of one tensor.
        let value = name.bytes().fold(7, |hash, byte| (31 * hash + usize::from(byte)) % 1_000_003);
        self.members.push(Member {
            value: ValueId::new(value),
            name: name.into(),
            trained: true,
            dim,
            side: if dim == 0 { Side::Output } else { Side::Input },
            reader: (NodeId::new(0), "aten::conv2d".into(), "weight".into()),
            layout,
        });
        self
    }

    pub(crate) fn without_members(mut self) -> Self {
        self.members.clear();
        self
    }

    pub(crate) fn pinned(self, pin: Pin) -> Self {
        Self { pin: Some(pin), ..self }
    }

    pub(crate) fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// The group after the cuts of `plan`.
    pub(crate) fn cut(&self, plan: &Plan) -> Self {
        let cut = plan.cut(self.id);
        let mut number = 0;
        let renumbered: Vec<Option<u32>> = self
            .coordinates
            .iter()
            .map(|coordinate| {
                cut.binary_search(coordinate).is_err().then(|| {
                    number += 1;
                    number - 1
                })
            })
            .collect();
        let mut after = self.clone();
        after.coordinates.retain(|coordinate| cut.binary_search(coordinate).is_err());
        for member in &mut after.members {
            member.layout = match &member.layout {
                Layout::Identity(_) => Layout::Identity(number as usize),
                other => cut_layout(other, &renumbered),
            };
        }
        after
    }
}

fn cut_layout(layout: &Layout, renumbered: &[Option<u32>]) -> Layout {
    let left = |coordinate: Option<u32>| coordinate.map_or(Some(Layout::NONE), |at| renumbered[at as usize]);
    Layout::Table(layout.coordinates().filter_map(left).collect())
}

impl Group for TestGroup {
    fn id(&self) -> GroupId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn initial_size(&self) -> usize {
        self.initial_size
    }

    fn coordinates(&self) -> &[u32] {
        &self.coordinates
    }

    fn members(&self) -> &[Member] {
        &self.members
    }

    fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }

    fn inexact(&self) -> Option<NodeId> {
        None
    }

    fn role(&self) -> Role {
        self.role
    }
}

//! The schema's types. The library keeps its own registry to itself, so they are read from the schema as it is printed.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, OperationType, SchemaDefinition, ServiceDocument, Type,
    TypeDefinition, TypeKind, TypeSystemDefinition,
};
use async_graphql::{Name, Positioned};
use async_graphql_value::ConstValue;

/// What introspection adds to any schema.
const INTROSPECTION: &str = include_str!("introspection.graphql");
const BUILT_IN_SCALARS: [&str; 5] = ["Int", "Float", "String", "Boolean", "ID"];

/// Whether it is a scalar of every schema.
pub fn is_built_in(scalar: &str) -> bool {
    BUILT_IN_SCALARS.contains(&scalar)
}

/// Every type by name, and which are the roots.
#[derive(Debug, Default)]
pub struct Types {
    named: HashMap<Name, Named>,
    directives: HashMap<Name, Inputs>,
    query: Option<Name>,
    mutation: Option<Name>,
    subscription: Option<Name>,
}

/// What a name stands for.
#[derive(Debug)]
pub enum Named {
    /// An object type.
    Object(HashMap<Name, Field>),
    /// An interface or a union, and the object types it may be.
    Abstract(HashMap<Name, Field>, Vec<Name>),
    /// An input object type; `true` where exactly one field is to be given.
    Input(Inputs, bool),
    /// An enum type and its values.
    Enum(Vec<Name>),
    /// A scalar, built in or not.
    Scalar,
}

/// Arguments, or the fields of an input object.
pub type Inputs = IndexMap<Name, Input>;

/// A field of an object type or an interface.
#[derive(Debug)]
pub struct Field {
    /// What it gives.
    pub ty: Type,
    /// What it takes.
    pub arguments: Inputs,
}

/// An argument or a field of an input object.
#[derive(Debug)]
pub struct Input {
    /// What it takes.
    pub ty: Type,
    /// What stands for it where it is left out.
    pub default: Option<ConstValue>,
}

impl Input {
    /// Whether it must be given.
    pub fn is_required(&self) -> bool {
        !self.ty.nullable && self.default.is_none()
    }
}

impl Types {
    /// Of a schema as the library prints it, which is always one that parses.
    pub fn of(sdl: &str) -> Self {
        let mut types = Self::default();
        types.named.extend(BUILT_IN_SCALARS.map(|name| (Name::new(name), Named::Scalar)));
        let mut implementations = Vec::new();
        for ServiceDocument { definitions } in [parse_schema(sdl), parse_schema(INTROSPECTION)].into_iter().flatten() {
            for definition in definitions {
                match definition {
                    TypeSystemDefinition::Schema(schema) => types.set_roots(schema.node),
                    TypeSystemDefinition::Type(ty) => types.add(ty.node, &mut implementations),
                    TypeSystemDefinition::Directive(directive) => {
                        let arguments = inputs(directive.node.arguments);
                        types.directives.insert(directive.node.name.node, arguments);
                    }
                }
            }
        }
        for (interface, object) in implementations {
            if let Some(Named::Abstract(_, members)) = types.named.get_mut(&interface) {
                members.push(object);
            }
        }
        types.add_introspection();
        types
    }

    fn set_roots(&mut self, schema: SchemaDefinition) {
        let name = |root: Option<Positioned<Name>>| root.map(|name| name.node);
        (self.query, self.mutation, self.subscription) =
            (name(schema.query), name(schema.mutation), name(schema.subscription));
    }

    fn add(&mut self, ty: TypeDefinition, implementations: &mut Vec<(Name, Name)>) {
        let name = ty.name.node;
        let named = match ty.kind {
            TypeKind::Object(object) => {
                implementations.extend(object.implements.into_iter().map(|it| (it.node, name.clone())));
                Named::Object(fields(object.fields))
            }
            TypeKind::Interface(interface) => Named::Abstract(fields(interface.fields), Vec::new()),
            TypeKind::Union(union) => {
                Named::Abstract(HashMap::new(), union.members.into_iter().map(|member| member.node).collect())
            }
            TypeKind::InputObject(object) => {
                let is_one_of = ty.directives.iter().any(|directive| directive.node.name.node == "oneOf");
                Named::Input(inputs(object.fields), is_one_of)
            }
            TypeKind::Enum(it) => Named::Enum(it.values.into_iter().map(|value| value.node.value.node).collect()),
            TypeKind::Scalar => Named::Scalar,
        };
        self.named.insert(name, named);
    }

    /// `__schema` and `__type`, which stand at the query's root without being printed there.
    fn add_introspection(&mut self) {
        let Some(Named::Object(root)) = self.query.as_ref().and_then(|query| self.named.get_mut(query)) else { return };
        let (schema, ty, name) = (Type::new("__Schema!"), Type::new("__Type"), Type::new("String!"));
        let name = name.map(|ty| (Name::new("name"), Input { ty, default: None }));
        root.extend(schema.map(|ty| (Name::new("__schema"), Field { ty, arguments: Inputs::new() })));
        root.extend(ty.map(|ty| (Name::new("__type"), Field { ty, arguments: name.into_iter().collect() })));
    }

    /// The type of that name.
    pub fn named(&self, name: &str) -> Option<&Named> {
        self.named.get(name)
    }

    /// The root type of an operation.
    pub fn root(&self, operation: OperationType) -> Option<&Name> {
        match operation {
            OperationType::Query => self.query.as_ref(),
            OperationType::Mutation => self.mutation.as_ref(),
            OperationType::Subscription => self.subscription.as_ref(),
        }
    }

    /// A field of an object type or an interface; `__typename` is none.
    pub fn field(&self, parent: &str, name: &str) -> Option<&Field> {
        match self.named(parent)? {
            Named::Object(fields) | Named::Abstract(fields, _) => fields.get(name),
            _ => None,
        }
    }

    /// What a directive takes.
    pub fn directive(&self, name: &str) -> Option<&Inputs> {
        self.directives.get(name)
    }

    /// The object types that an abstract type may be; `None` where the type is not abstract.
    pub fn members(&self, name: &str) -> Option<&[Name]> {
        match self.named(name)? {
            Named::Abstract(_, members) => Some(members),
            _ => None,
        }
    }

    /// Whether a fragment on `condition` applies to an object.
    pub fn applies(&self, object: &Name, condition: &str) -> bool {
        object == condition || self.members(condition).is_some_and(|members| members.contains(object))
    }
}

fn fields(definitions: Vec<Positioned<FieldDefinition>>) -> HashMap<Name, Field> {
    let field = |it: FieldDefinition| (it.name.node, Field { ty: it.ty.node, arguments: inputs(it.arguments) });
    definitions.into_iter().map(|definition| field(definition.node)).collect()
}

fn inputs(definitions: Vec<Positioned<InputValueDefinition>>) -> Inputs {
    let default = |value: Positioned<ConstValue>| value.node;
    let input =
        |it: InputValueDefinition| (it.name.node, Input { ty: it.ty.node, default: it.default_value.map(default) });
    definitions.into_iter().map(|definition| input(definition.node)).collect()
}

/// The type inside all lists.
pub fn innermost(ty: &Type) -> &Name {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(item) => innermost(item),
    }
}

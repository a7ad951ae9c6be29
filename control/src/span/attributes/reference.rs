//! The reference page: the table as Markdown.

use std::fmt::{self, Write};

use super::{Attribute, Group, Level, TABLE};

/// Every attribute with type, unit, requirement level and meaning, grouped as the convention groups them.
pub fn reference() -> String {
    let mut page = String::new();
    write_page(&mut page).expect("a String takes every write");
    page
}

fn write_page(page: &mut String) -> fmt::Result {
    writeln!(page, "# Attributes of a flow span\n")?;
    writeln!(page, "A value that a record does not have is left out, never empty or 0 in its place.")?;
    for group in &TABLE {
        write_group(page, group)?;
    }
    Ok(())
}

fn write_group(page: &mut String, group: &Group) -> fmt::Result {
    writeln!(page, "\n## {}\n", group.title)?;
    if !group.is_of_convention {
        writeln!(page, "These go beyond the convention.\n")?;
    }
    writeln!(page, "| Attribute | Type | Unit | Requirement | Meaning |")?;
    writeln!(page, "|:--|:--|:--|:--|:--|")?;
    for attribute in group.attributes {
        let unit = attribute.unit.map(|unit| format!("`{unit}`")).unwrap_or_default();
        let Attribute { key, level, doc, .. } = attribute;
        writeln!(page, "| `{key}` | `{}` | {unit} | {level} | {doc} |", attribute.type_name())?;
    }
    Ok(())
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Required => f.write_str("required"),
            Level::Conditional(transport) => write!(f, "conditional:{transport}"),
            Level::Recommended => f.write_str("recommended"),
            Level::OptIn => f.write_str("opt_in"),
        }
    }
}

"""IR definitions, the ground floor: operations and types of every stage, and no passes."""

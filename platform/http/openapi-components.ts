import { isDeepStrictEqual } from 'node:util';

type JsonObject = Record<string, unknown>;

const NAME = /^[A-Z][A-Za-z0-9]*$/;

/**
 * Takes every schema with a `title` out of a description: it stands once, by its title, and `$ref` where it was. The
 * schemas that validate stay as they are.
 *
 * @throws {Error} when two different schemas have one title
 */
export function hoistTitled(described: JsonObject): { value: unknown; schemas: JsonObject } {
  const schemas: JsonObject = {};
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).map(([key, member]) => [key, visit(member)] as const);
    const { title, ...schema } = Object.fromEntries(entries);
    if (!isSchemaTitle(title)) return Object.fromEntries(entries);
    schemas[title] = merge(title, Object(schemas[title] ?? schema), schema);
    return { $ref: `#/components/schemas/${title}` };
  };
  const value = visit(described);
  return { value, schemas };
}

// A parameter's description stands beside its schema, so one of the two may be without.
function merge(title: string, known: JsonObject, schema: JsonObject): JsonObject {
  const description = known.description ?? schema.description;
  const [before, now] = [known, schema].map((one) => ({ ...one, description }));
  if (!isDeepStrictEqual(before, now)) throw new Error(`two schemas have the title ${title}`);
  return 'description' in known ? known : schema;
}

// A member that is called title is a schema itself, or a text that is no name.
function isSchemaTitle(title: unknown): title is string {
  return typeof title === 'string' && NAME.test(title);
}

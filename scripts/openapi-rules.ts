type JsonObject = Record<string, unknown>;

const METHODS = new Set(['get', 'put', 'post', 'delete', 'head', 'options', 'patch', 'trace']);
const ACCESS = /^(public|node|admin|viewer|service:(registrar|verifier|issuer))$/;
const UNNAMED = 'Default Response';

/** What is wrong with an OpenAPI document of ours, as a reader or a generator of clients would notice it. */
export function openApiProblems(document: JsonObject): string[] {
  const operations = operationsOf(document);
  return [
    ...(document.openapi === '3.1.0' ? [] : ['openapi: 3.1.0 is expected']),
    ...(operations.length === 0 ? ['there is no operation'] : []),
    ...duplicateIds(operations),
    ...operations.flatMap(problemsOf),
    ...unresolved(document, document, '#'),
    ...unusedSchemas(document),
  ];
}

interface Operation {
  readonly name: string;
  readonly path: string;
  readonly members: JsonObject;
}

function operationsOf({ paths }: JsonObject): Operation[] {
  return Object.entries<JsonObject>(Object(paths)).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => METHODS.has(method))
      .map(([method, members]) => ({
        name: `${method.toUpperCase()} ${path}`,
        path,
        members: Object(members),
      })),
  );
}

function duplicateIds(operations: readonly Operation[]): string[] {
  const known = new Set<unknown>();
  return operations.flatMap(({ name, members: { operationId } }) => {
    if (typeof operationId !== 'string') return [`${name}: operationId is missing`];
    if (known.has(operationId)) return [`${name}: the operationId ${operationId} is another operation's`];
    known.add(operationId);
    return [];
  });
}

function problemsOf({ name, path, members }: Operation): string[] {
  return [
    ...(typeof members.summary === 'string' && members.summary !== '' ? [] : ['summary is missing']),
    ...accessProblems(members),
    ...responseProblems(Object(members.responses)),
    ...parameterProblems(path, members),
    ...(Object.keys(Object(Object(members.requestBody).content ?? { none: 1 })).length > 0
      ? []
      : ['the request body has no content']),
  ].map((problem) => `${name}: ${problem}`);
}

/** `x-access` is for our test, `security` for everybody's tools: they must say the same. */
function accessProblems({ 'x-access': access, security }: JsonObject): string[] {
  if (!Array.isArray(access) || access.length === 0) return ['x-access is missing'];
  const unknown = access.filter((one) => !ACCESS.test(String(one)));
  if (unknown.length > 0) return [`x-access ${unknown.join(', ')} is unknown`];
  const wanted = access.includes('public') ? [] : access.map((role) => ({ clientCertificate: [role] }));
  return JSON.stringify(security) === JSON.stringify(wanted) ? [] : ['security is not what x-access says'];
}

function responseProblems(responses: JsonObject): string[] {
  const entries = Object.entries(responses);
  const isSuccess = ([status]: readonly [string, unknown]) => /^[23]/.test(status);
  return [
    ...(entries.some(isSuccess) ? [] : ['no answer of success is described']),
    ...('default' in responses ? [] : ['errors are not described (default)']),
    ...entries.flatMap(([status, response]) => {
      const { description, content } = Object(response);
      const isEmpty = status === '204' || status === '304';
      return [
        ...(!description || description === UNNAMED ? [`${status} has no description`] : []),
        ...(isEmpty || content ? [] : [`${status} has no content`]),
      ];
    }),
  ];
}

function parameterProblems(path: string, members: JsonObject): string[] {
  const parameters: readonly JsonObject[] = Array.isArray(members.parameters) ? members.parameters : [];
  const declared = parameters.filter((one) => one.in === 'path').map((one) => String(one.name));
  const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name);
  return [
    ...inPath.filter((name) => !declared.includes(name)).map((name) => `{${name}} is not described`),
    ...declared
      .filter((name) => !inPath.includes(name))
      .map((name) => `the parameter ${name} is not in the path`),
  ];
}

function unresolved(document: JsonObject, value: unknown, place: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === '$ref' && typeof member === 'string'
      ? resolves(document, member)
        ? []
        : [`${place}: ${member} is not there`]
      : unresolved(document, member, `${place}/${key}`),
  );
}

function resolves(document: JsonObject, reference: string): boolean {
  const [start, ...steps] = reference.split('/');
  let value: unknown = document;
  for (const step of steps) {
    value = Object(value)[step.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return start === '#' && value !== undefined;
}

function unusedSchemas(document: JsonObject): string[] {
  const text = JSON.stringify(document);
  return Object.keys(Object(Object(document.components).schemas))
    .filter((name) => !text.includes(`"#/components/schemas/${name}"`))
    .map((name) => `nothing uses the schema ${name}`);
}

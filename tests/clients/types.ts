// The API's types as openapi-typescript makes them, used as a caller would. It is compiled, never run.

import type { components, operations, paths } from "./api";

type Taken<O extends keyof operations, S extends number> = operations[O]["responses"] extends Record<S, { content: infer C }>
  ? C[keyof C]
  : never;

const table: components["schemas"]["CreateTable"] = {
  name: "orders",
  primary_key: ["id"],
  columns: [{ name: "id", type: "INT" }, { name: "amount", type: "DECIMAL(10,2)", nullable: true }],
};
const where: paths["/projects/{project}/buckets/{bucket}/tables"]["post"]["parameters"]["path"] = {
  project: "acme",
  bucket: "sales",
};
const id: string = ({} as Taken<"create_project", 201>).id;
const code: components["schemas"]["Problem"]["code"] = "table_not_found";
const cursor: string | null | undefined = ({} as components["schemas"]["AuditList"]).next_cursor;

// @ts-expect-error What may be missing may be null.
const sure: string = ({} as components["schemas"]["AuditList"]).next_cursor;
// @ts-expect-error A name is a text.
const named: components["schemas"]["CreateProject"] = { id: 1 };

export { code, cursor, id, named, sure, table, where };

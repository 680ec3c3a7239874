// The method that a user names, or which names he may have meant.
import { HandlerError } from "@pipeline/handler-base";
import { findMethod, type Catalogue } from "@pipeline/handler-base/operations";

type Method = ReturnType<typeof findMethod>;

/** A method by its name, with or without the package. Throws `not_found` that lists the methods of what is named, else all. */
export function methodNamed(catalogue: Catalogue, name: string, hasModule: boolean): Method {
  const { methods } = catalogue;
  if (name.includes(".") && methods.some((method) => isNamed(method.name, name))) return findMethod(catalogue, name);
  const services = meantServices(methods, name);
  const near = methods.filter((method) => services.has(method.desc.parent.typeName));
  const list = (near.length > 0 ? near : methods).map((method) => `\n  ${method.name}`).join("");
  const elsewhere =
    near.length > 0 || hasModule ? "" : "; a service outside @pipeline/messages is read with --proto-module FILE";
  const what =
    near.length > 0 && !name.includes(".") ? `name a method as SERVICE.METHOD` : `there is no method ${name}`;
  throw new HandlerError(`${what}${elsewhere}; there is${list}`, "not_found");
}

/** Services that are meant by a name: of a service (with or without its last word), of a method, or of a method that it does not have. */
function meantServices(methods: readonly Method[], name: string): ReadonlySet<string> {
  const parent = name.slice(0, Math.max(0, name.lastIndexOf(".")));
  const means = ({ desc }: Method) => {
    const { typeName } = desc.parent;
    if (isNamed(typeName, name) || isNamed(typeName, `${name}Service`)) return true;
    return parent === "" ? desc.name === name : isNamed(typeName, parent);
  };
  return new Set(methods.filter(means).map(({ desc }) => desc.parent.typeName));
}

const isNamed = (full: string, name: string) => full === name || full.endsWith(`.${name}`);

"use strict";
// The routes as a table, from the OpenAPI description.

function cell(...parts) {
  const made = document.createElement("td");
  for (const part of parts) {
    const line = document.createElement("div");
    line.textContent = part;
    made.append(line);
  }
  return made;
}

fetch("/openapi.json").then((answer) => answer.json()).then((description) => {
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const row = document.createElement("tr");
      const parameters = (route.parameters || []).map((one) => `${one.name}${one.required ? "" : "?"}: ${one.description || one.schema.type || ""}`);
      if (route.requestBody) parameters.push("a JSON body");
      const answers = Object.entries(route.responses).map(([status, one]) => `${status} ${one.description}`);
      row.append(cell(`${method.toUpperCase()} ${path}`), cell(route.description || ""), cell(...parameters), cell(...answers));
      document.getElementById("routes").append(row);
    }
  }
});

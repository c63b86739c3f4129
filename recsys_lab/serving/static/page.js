"use strict";
// The page asks the same API as everybody else. Nothing from the service is ever read as HTML.

const $ = (id) => document.getElementById(id);
const state = { user: null, said: new Map(), before: {}, model: null, turn: 0 };
const SOURCES = { model: "from the model", fold_in: "folded in", popularity: "popular items" };
const ICONS = { like: "M7 11v9H3v-9zm0 0 4-8c2 0 3 1 3 3l-1 4h6c1 0 2 1 2 2l-2 7c0 1-1 1-2 1H7",
  dislike: "M17 13V4h4v9zm0 0-4 8c-2 0-3-1-3-3l1-4H5c-1 0-2-1-2-2l2-7c0-1 1-1 2-1h10" };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

async function ask(path, body) {
  const headers = { Accept: "application/json" };
  const key = sessionStorage.getItem("key");
  if (key) headers["X-API-Key"] = String.fromCharCode(...new TextEncoder().encode(key)); // a header holds bytes
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  if (answer.status === 401) {
    $("key-form").hidden = false;
    throw new Error(key ? "This key is not right." : "This service asks for a key; give it above.");
  }
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail || answer.statusText);
  return found;
}

const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value !== null));
const user = () => encodeURIComponent(state.user);

function wait(seconds, act) {
  let timer;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => act(...given), seconds * 1000); };
}

async function loadModel() {
  const model = await ask("/v1/model");
  const chosen = $("model").value || new URLSearchParams(location.search).get("model");
  const changed = state.model !== null && versions(state.model) !== versions(model);
  state.model = model;
  const names = [["", model.ab_share > 0 ? "by the A/B split" : "champion"]];
  if (model.challenger) names.push(["challenger", "challenger"], ["both", "side by side"]);
  $("model").replaceChildren(...names.map(([value, text]) => element("option", { value, textContent: text })));
  if (names.some(([value]) => value === chosen)) $("model").value = chosen;
  if ($("genre").options.length === 1) $("genre").append(...model.genres.map((name) => element("option", { textContent: name })));
  $("status").replaceChildren(...[model, model.challenger].filter(Boolean).map((one) => element("span", { textContent: describe(one) })));
  if (changed) await refresh(); // somebody promoted or rolled back
}

const versions = (model) => [model.version, model.challenger && model.challenger.version].join();

function describe(model) {
  const metric = Object.entries(model.metrics || {}).find(([name]) => name === model.primary) || Object.entries(model.metrics || {})[0];
  return [`${model.role}: ${model.label || model.algorithm}, version ${model.version}`, metric ? `${metric[0]} ${metric[1].toFixed(3)}` : "",
    model.stale ? "stale: the registry does not answer, or names a version that cannot be taken" : ""].filter(Boolean).join(" · ");
}

async function loadUsers() {
  const found = await ask(`/v1/users?${query({ q: $("user-search").value.trim(), limit: 30 })}`);
  $("users").replaceChildren(...found.users.map((one) => {
    const button = element("button", { type: "button" }, element("span", { textContent: one.user_id }), element("small", { textContent: `${one.n_items} items` }));
    button.setAttribute("aria-pressed", String(one.user_id === state.user));
    button.addEventListener("click", () => choose(one.user_id));
    return element("li", {}, button);
  }));
  if (!found.users.length) $("users").replaceChildren(element("li", { className: "quiet", textContent: "No such user" }));
  return found.users;
}

async function choose(id) {
  state.user = id;
  $("user-title").textContent = `User ${id}`;
  state.said.clear();
  state.before = {};
  for (const button of $("users").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.firstChild.textContent === id));
  await loadSaid();
  await Promise.all([loadHas(), refresh()]);
}

async function loadHas() {
  const has = await ask(`/v1/users/${user()}/items?limit=12`);
  $("has-title").textContent = `User ${state.user} has ${has.total} items`;
  $("has").replaceChildren(...has.items.map((one) => element("li", {}, element("span", { textContent: one.title }), element("small", { textContent: String(one.rating) }))));
  $("has-more").textContent = has.total > has.items.length ? `and ${has.total - has.items.length} more` : "";
}

async function loadSaid() {
  const asked = state.user;
  const found = await ask(`/v1/users/${user()}/feedback`);
  if (asked !== state.user) return; // somebody clicked on
  for (const one of found.items.reverse()) state.said.set(one.item_id, one);
}

function listOf(role) {
  const liked = [...state.said.values()].filter((one) => one.event === "like");
  const out = [...state.said.values()].filter((one) => one.event === "dislike").map((one) => one.item_id);
  const options = { k: Number($("k").value), genre: $("genre").value || null, model: role || null, explain: true };
  if (!liked.length) return ask(`/v1/users/${user()}/recommendations?${query({ ...options, exclude: out.join(",") })}`);
  return ask("/v1/recommendations", { ...options, user_id: state.user, exclude: out, items: liked.map((one) => ({ item_id: one.item_id })) });
}

async function refresh() {
  if (state.user === null) return;
  const turn = ++state.turn;
  const roles = $("model").value === "both" ? ["champion", "challenger"] : [$("model").value];
  const lists = await Promise.allSettled(roles.map(listOf));
  if (turn !== state.turn) return; // somebody clicked on
  const focused = [...$("lists").querySelectorAll("button")].indexOf(document.activeElement);
  $("lists").className = roles.length > 1 ? "both" : "";
  $("overlap").textContent = lists.length > 1 && lists.every((one) => one.status === "fulfilled") ? overlap(...lists.map((one) => one.value.items)) : "";
  $("lists").replaceChildren(...lists.map((one, place) => one.status === "fulfilled"
    ? showList(one.value) : element("p", { className: "note bad", textContent: `${roles[place]} ${one.reason.message}` })));
  if (focused >= 0) ($("lists").querySelectorAll("button")[focused] || $("lists")).focus({ preventScroll: true });
  showSaid();
}

function overlap(items, others) {
  const ids = new Set(items.map((one) => one.item_id));
  return `${others.filter((one) => ids.has(one.item_id)).length} of ${Math.max(items.length, others.length)} items stand in both lists.`;
}

function showList(list) {
  const role = list.model.role;
  const before = state.before[role];
  const described = role === "challenger" ? state.model.challenger : state.model;
  const head = element("div", { className: "list-head" }, element("strong", { textContent: role === "champion" ? "Champion" : "Challenger" }),
    element("span", { textContent: `${list.model.algorithm}, version ${list.model.version}` }),
    element("span", { className: list.source === "popularity" ? "tag warn" : "tag", textContent: SOURCES[list.source] || list.source }),
    described && described.stale ? element("span", { className: "tag warn", textContent: "stale" }) : null);
  const cards = element("ol", { className: "cards" }, ...list.items.map((one) => card(one, list, before)));
  state.before[role] = new Map(list.items.map((one) => [one.item_id, one.rank]));
  const folds = described && described.capabilities.folds_in;
  const note = !folds && state.said.size ? "This model cannot fold in: what you said is left out of the list, and learnt at the next training." : "";
  return element("section", {}, head, note ? element("p", { className: "quiet", textContent: note }) : null,
    list.items.length ? cards : element("p", { className: "note", textContent: "Nothing is left to recommend with these filters." }),
    list.exhausted && list.items.length ? element("p", { className: "quiet", textContent: "That is all there is." }) : null);
}

function card(one, list, before) {
  const moved = before ? (before.has(one.item_id) ? before.get(one.item_id) - one.rank : "new") : 0;
  const text = moved === "new" ? "new" : moved > 0 ? `▲ ${moved}` : moved < 0 ? `▼ ${-moved}` : "";
  const kind = moved === "new" ? "new" : moved > 0 ? "up" : "down";
  const because = (one.because || []).map((item) => item.title).join(", ");
  return element("li", { className: "card" },
    element("span", { className: "rank" }, one.rank ? String(one.rank) : "", element("span", { className: `move ${kind}`, textContent: text })),
    element("div", {}, element("h3", { textContent: one.title }),
      element("p", { textContent: [one.genres && one.genres.join(", "), one.score === undefined ? "" : `score ${one.score.toPrecision(3)}`].filter(Boolean).join(" · ") }),
      because ? element("p", { className: "why", textContent: `because you have ${because}` }) : null),
    element("div", { className: "acts" }, act("like", one, list), act("dislike", one, list), act("similar", one, list)));
}

function act(kind, one, list) {
  const names = { like: "I like this", dislike: "Not for me", similar: "Similar items" };
  const button = element("button", { type: "button", className: kind, title: names[kind] }, kind === "similar" ? "Similar" : icon(kind));
  button.setAttribute("aria-label", `${names[kind]}: ${one.title}`);
  button.addEventListener("click", () => (kind === "similar" ? showSimilar(one, list) : say(kind, one, list)));
  return button;
}

async function say(event, one, list) {
  if (state.user === null) return;
  const said = { item_id: one.item_id, title: one.title, event, list_id: list && list.list_id ? list.list_id : null };
  state.said.delete(one.item_id); // the last stands last
  state.said.set(one.item_id, said);
  $("similar").close();
  send([said]).catch(fail);
  await refresh().catch(fail);
}

async function takeBack(items) {
  for (const one of items) state.said.delete(one.item_id);
  await send(items.map((one) => ({ ...one, event: "retract" })));
  await refresh();
}

function send(said) {
  const id = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return ask("/v1/feedback", said.map((one) => ({ event_id: id(), user_id: state.user, item_id: one.item_id, event: one.event, list_id: one.list_id })));
}

function showSaid() {
  $("taste-empty").hidden = $("forget").hidden = state.said.size > 0;
  $("forget").hidden = !state.said.size;
  $("taste").replaceChildren(...[...state.said.values()].map((one) => {
    const button = element("button", { type: "button", className: one.event, textContent: `${one.event === "like" ? "+" : "−"} ${one.title}\u00a0×` });
    button.setAttribute("aria-label", `Take back: ${one.event} ${one.title}`);
    button.addEventListener("click", () => takeBack([one]).catch(fail));
    return element("li", {}, button);
  }));
}

async function showSimilar(one, list) {
  const role = list && list.model ? list.model.role : "champion";
  const found = await ask(`/v1/items/${encodeURIComponent(one.item_id)}/similar?${query({ k: 8, model: role })}`).catch(fail);
  if (!found) return;
  $("similar-title").textContent = `Like ${one.title}`;
  $("similar-list").replaceChildren(...found.items.map((other) => card(other, list, null)));
  if (!$("similar").open) $("similar").showModal();
}

async function findItems() {
  const q = $("item-search").value.trim();
  $("found").hidden = !q;
  if (!q) return;
  const found = await ask(`/v1/items?${query({ q, limit: 5 })}`);
  $("found").replaceChildren(found.items.length ? element("ol", { className: "cards" }, ...found.items.map((one) => card(one, null, null)))
    : element("p", { className: "quiet", textContent: "No item has this in its title." }));
}

function fail(error) { $("status").textContent = error.message; }

async function begin() {
  try {
    await loadModel();
    $("lists").replaceChildren();
    const asked = new URLSearchParams(location.search).get("user");
    const users = await loadUsers();
    if (asked || users.length) await choose(asked || users[0].user_id);
  } catch (error) {
    fail(error);
    $("lists").replaceChildren(element("p", { className: "note bad", textContent: error.message }));
  }
}

$("user-search").addEventListener("input", wait(0.2, () => loadUsers().catch(fail)));
$("item-search").addEventListener("input", wait(0.2, () => findItems().catch(fail)));
for (const id of ["model", "genre", "k"]) $(id).addEventListener("change", () => { state.before = {}; refresh().catch(fail); });
$("forget").addEventListener("click", () => { state.before = {}; takeBack([...state.said.values()]).catch(fail); });
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value);
  $("key-form").hidden = true;
  begin();
});
setInterval(() => {
  if (!$("key-form").hidden) return; // it waits for a key
  if (state.user === null) begin();
  else loadModel().catch(fail);
}, 15000);
begin();

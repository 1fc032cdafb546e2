async function call(path, body) {
  const method = body ? "POST" : "GET";
  const answer = await fetch(import.meta.env.VITE_API_URL + path, { method, credentials: "include", body });
  return answer.json();
}

function show({ user, rows, worktree, database, mail }) {
  const texts = { user, page: __WORKTREE__, api: worktree, database, mail };
  for (const [id, text] of Object.entries(texts)) document.getElementById(id).textContent = text;
  const items = rows.map((row) => Object.assign(document.createElement("li"), { textContent: row }));
  document.getElementById("rows").replaceChildren(...items);
  // A test waits for this attribute, which is missing until the first answer.
  document.body.dataset.answers = Number(document.body.dataset.answers ?? 0) + 1;
}

for (const id of ["login", "add"]) {
  const form = document.getElementById(id);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    show(await call(`/${id}`, form.querySelector("input").value));
  });
}
show(await call("/"));

// Django's CSRF check compares this header with the cookie that came with the page.
function csrfToken() {
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith("csrftoken="));
  return cookie ? cookie.slice("csrftoken=".length) : "";
}

async function send(path, options = {}) {
  const headers = { "X-CSRFToken": csrfToken(), ...options.headers };
  const response = await fetch(path, { ...options, headers });
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  const answer = isJson ? await response.json() : {};
  if (response.ok) return answer;
  const reasons = Object.values(answer.errors ?? {}).flat();
  throw new Error(reasons.join(" ") || `The server answered ${response.status}.`);
}

export async function listBooks() {
  return (await send("/api/books")).books;
}

export function addBook(book) {
  return send("/api/books", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(book),
  });
}

export function uploadCover(id, file) {
  const form = new FormData();
  form.append("cover", file);
  return send(`/api/books/${id}/cover`, { method: "POST", body: form });
}

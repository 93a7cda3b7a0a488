import { useState } from "react";
import { addBook } from "./api";
import "./AddBook.css";

export default function AddBook({ onAdded }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    try {
      onAdded(await addBook({ title: form.get("title"), author: form.get("author") }));
    } catch (reason) {
      setError(reason.message);
      setBusy(false);
    }
  }

  return (
    <form className="add-book" onSubmit={submit}>
      <label>
        Title
        <input name="title" required maxLength={200} autoFocus />
      </label>
      <label>
        Author
        <input name="author" required maxLength={200} />
      </label>
      <button type="submit" disabled={busy}>
        Put it on the shelf
      </button>
      {error && <p className="error" role="alert">{error}</p>}
    </form>
  );
}

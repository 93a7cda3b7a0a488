import { useState } from "react";
import { uploadCover } from "./api";
import noCover from "./assets/no-cover.svg";

export default function BookCard({ book, onChanged }) {
  const [error, setError] = useState("");

  async function upload(event) {
    const [file] = event.target.files;
    if (!file) return;
    try {
      onChanged(await uploadCover(book.id, file));
      setError("");
    } catch (reason) {
      setError(reason.message);
    }
  }

  return (
    <li className="book">
      <img src={book.cover ?? noCover} alt={book.cover ? `Cover of ${book.title}` : ""} />
      <h2>{book.title}</h2>
      <p>{book.author}</p>
      <label className="cover">
        {book.cover ? "Change the cover" : "Upload a cover"}
        <input type="file" name="cover" accept=".gif,.jpg,.jpeg,.png,.webp" onChange={upload} />
      </label>
      {error && <p className="error" role="alert">{error}</p>}
    </li>
  );
}

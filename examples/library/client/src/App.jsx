import { lazy, Suspense, useEffect, useState } from "react";
import { listBooks } from "./api";
import BookCard from "./BookCard";

// A chunk of its own: fetched when somebody first wants to add a book.
const AddBook = lazy(() => import(/* webpackChunkName: "add-book" */ "./AddBook"));

const byTitle = (a, b) => a.title.localeCompare(b.title);

export default function App({ dyno }) {
  const [books, setBooks] = useState(null);
  const [error, setError] = useState("");
  const [adding, setAdding] = useState(false);

  useEffect(() => {
    listBooks().then(setBooks, (reason) => setError(reason.message));
  }, []);

  function keep(book) {
    setBooks((known) => [...known.filter(({ id }) => id !== book.id), book].sort(byTitle));
  }

  return (
    <main>
      <header>
        <div>
          <h1>A small library</h1>
          <p className="count">{books ? `${books.length} books on the shelf` : "Fetching the books…"}</p>
        </div>
        {books && (
          <button type="button" onClick={() => setAdding(!adding)}>
            {adding ? "Close" : "Add a book"}
          </button>
        )}
      </header>

      {error && <p className="error" role="alert">{error}</p>}

      {adding && (
        <Suspense fallback={<p>Opening the form…</p>}>
          <AddBook
            onAdded={(book) => {
              keep(book);
              setAdding(false);
            }}
          />
        </Suspense>
      )}

      {books && (
        <ul className="shelf">
          {books.map((book) => (
            <BookCard key={book.id} book={book} onChanged={keep} />
          ))}
        </ul>
      )}

      <footer>
        <p>
          <strong>Nothing here lasts.</strong> The books are in <code>db.sqlite3</code> and the covers in{" "}
          <code>media/</code>, both on the disk of this dyno. When it restarts, the shelf is back to its first three
          books and every cover is gone.
        </p>
        <p>
          Served by {dyno.name}, up since {new Date(dyno.bootedAt).toLocaleString()}.
        </p>
      </footer>
    </main>
  );
}

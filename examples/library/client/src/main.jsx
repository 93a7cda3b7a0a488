import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import App from "./App";
import "./main.css";

const dyno = JSON.parse(document.getElementById("dyno").textContent);

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <App dyno={dyno} />
  </StrictMode>,
);

// Asks for the server's token when an answer was 401.

import { Button, Modal, PasswordInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ApiError, post } from "../api/client";
import { statusQuery } from "../api/queries";

export function Login() {
  const client = useQueryClient();
  const { error } = useQuery(statusQuery);
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState("");
  const needed = error instanceof ApiError && error.status === 401;
  const submit = async (e: FormEvent) => {
    e.preventDefault();
    try {
      await post("/api/v1/login", { body: { token } });
      setProblem("");
      await client.invalidateQueries();
      location.reload(); // the event stream starts anew with the cookie
    } catch (x) {
      setProblem(x instanceof Error ? x.message : String(x));
    }
  };
  return (
    <Modal opened={needed} onClose={() => undefined} withCloseButton={false} title="This server asks for a token" centered>
      <form onSubmit={(e) => void submit(e)} className="stack">
        <PasswordInput label="Token" description="server.token of its configuration" value={token} onChange={(e) => setToken(e.currentTarget.value)} error={problem} autoFocus data-autofocus />
        <Button type="submit" disabled={!token}>
          Log in
        </Button>
      </form>
    </Modal>
  );
}

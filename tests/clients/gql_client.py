"""The usual Python client, gql: over HTTP and over a WebSocket."""

import asyncio
import os
import unittest
import uuid

from gql import Client, GraphQLRequest, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

GRAPHQL = os.environ["SERVER"] + "/graphql"
SOCKET = GRAPHQL.replace("http", "ws", 1)

CREATE = gql("mutation($name: String!) { createCollection(input: {name: $name}) { collection { id } } }")
INGEST = gql(
    "mutation($collection: ID!, $text: String!) { ingestDocuments(input: {collectionId: $collection,"
    " documents: [{title: \"Note\", source: {text: $text}}]}) { run { id } } }"
)
PROGRESS = gql("subscription($run: ID!) { ingestProgress(runId: $run) { kind run { state } } }")


def over_http(**options):
    return Client(transport=AIOHTTPTransport(url=GRAPHQL), **options)


def over_socket():
    return Client(transport=AIOHTTPWebsocketsTransport(url=SOCKET))


def over_other_socket():
    """The other transport looks for the answer's header in one spelling only, so it is told the protocol."""
    protocols = [WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL]
    return Client(transport=WebsocketsTransport(url=SOCKET, subprotocols=protocols))


class GqlClient(unittest.IsolatedAsyncioTestCase):
    async def run_of(self, session, text):
        """The id of the run that ingests a text into a collection of its own."""
        made = await session.execute(GraphQLRequest(CREATE, variable_values={"name": f"gql {uuid.uuid4()}"}))
        values = {"collection": made["createCollection"]["collection"]["id"], "text": text}
        return (await session.execute(GraphQLRequest(INGEST, variable_values=values)))["ingestDocuments"]["run"]["id"]

    async def test_the_schema_is_fetched_and_operations_are_checked_against_it(self):
        async with over_http(fetch_schema_from_transport=True) as session:
            answer = await session.execute(gql("{ collections(first: 1) { totalCount } }"))
        self.assertGreaterEqual(answer["collections"]["totalCount"], 0)

    async def test_a_run_is_followed_to_its_end_over_a_socket(self):
        async with over_http() as session:
            run = await self.run_of(session, "Tides follow the moon.")
        for connect in (over_socket, over_other_socket):
            async with connect() as session:
                following = session.subscribe(GraphQLRequest(PROGRESS, variable_values={"run": run}))
                events = [event["ingestProgress"] async for event in following]
            self.assertEqual(events[-1], {"kind": "RUN_FINISHED", "run": {"state": "SUCCEEDED"}})

    async def test_operations_over_a_socket_are_answered_and_refused_as_over_http(self):
        async with over_socket() as session:
            answer = await session.execute(gql("{ __typename }"))
            self.assertEqual(answer, {"__typename": "Query"})
            # Not `assertRaises`: it clears the frames of the exception, the client's receiving loop among them.
            try:
                await session.execute(gql("{ nonsense }"))
                self.fail("it was not refused")
            except TransportQueryError as refused:
                self.assertEqual(refused.errors[0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED")
            self.assertEqual(await session.execute(gql("{ __typename }")), {"__typename": "Query"})

    async def test_many_subscriptions_share_a_socket(self):
        async with over_http() as session:
            runs = [await self.run_of(session, f"Wave {number}.") for number in range(5)]
        async with over_socket() as session:

            async def last(run):
                following = session.subscribe(GraphQLRequest(PROGRESS, variable_values={"run": run}))
                return [event["ingestProgress"]["kind"] async for event in following][-1]

            kinds = await asyncio.gather(*map(last, runs))
        self.assertEqual(kinds, ["RUN_FINISHED"] * 5)


if __name__ == "__main__":
    unittest.main(verbosity=2)

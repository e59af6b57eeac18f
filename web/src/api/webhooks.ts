// Owns what is asked of the server about webhooks, and what is done to them.
import { queryOptions, useMutation, useQueryClient } from '@tanstack/react-query';

import { get, post, remove } from './client';
import type { CreatedWebhook, Delivery, NewWebhook, Webhook, WebhookList } from './types';

const KEY = ['webhooks'] as const;

/** Deliveries have no events. */
export const webhooksQuery = queryOptions({
  queryKey: KEY,
  queryFn: ({ signal }) => get<WebhookList>('/webhooks', {}, signal),
  refetchInterval: 5000,
});

function useWebhookMutation<Input, Answer>(send: (input: Input) => Promise<Answer>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: send, onSettled: () => client.invalidateQueries({ queryKey: KEY }) });
}

export const useAddWebhook = () => useWebhookMutation((hook: NewWebhook) => post<CreatedWebhook>('/webhooks', hook));
export const useTestWebhook = () => useWebhookMutation((id: number) => post<Delivery>(`/webhooks/${id}/test`));
export const useSwitchWebhook = () => useWebhookMutation(({ id, enabled }: { id: number; enabled: boolean }) => post<Webhook>(`/webhooks/${id}/${enabled ? 'enable' : 'disable'}`));
export const useDeleteWebhook = () => useWebhookMutation((id: number) => remove<Webhook>(`/webhooks/${id}`));
